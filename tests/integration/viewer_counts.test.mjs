// Viewer counts: heartbeats over HTTP become sealed viewer_count_update messages, at most one per update interval. The test
// kills and freezes the leader, and stops Redis and LiveKit.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { ContractService } from './contract_service.mjs';
import { Viewers, beatAtOnce, heartbeat } from './viewers.mjs';
import { checkEnvelope } from './envelope.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const updateMs = 500;
const settings = {
  SEALCAST_AUDIENCE_WINDOW_MS: '3000',
  SEALCAST_AUDIENCE_UPDATE_MS: String(updateMs),
  SEALCAST_AUDIENCE_RATE_PER_ADDRESS: '0', // all viewers of these tests have one address
};

let stack;
before(async () => {
  stack = await PrivateStack.create();
});
// A test that fails leaves no sidecar that leads, or holds the gate's socket, in the next test.
afterEach(() => stack.killPrograms());
after(async () => {
  await Viewers.stopAll();
  await stack.close();
});

// A fixed stream id makes the HyperLogLog estimate repeatable. With random ids one estimate in ten is off by one at 120 viewers.
async function knownStream(id) {
  await stack.query('insert into sealcast.streams (stream_id) values ($1)', [id]);
  return id;
}

const nil = '00000000-0000-0000-0000-000000000000';

const updates = (subscriber) => subscriber.frames.map(({ envelope }) => envelope).filter(({ t }) => t === 'viewer_count_update');
const receivesUpdate = (subscriber, d) =>
  until(
    `an update to ${JSON.stringify(d)}`,
    () => {
      const last = updates(subscriber).at(-1)?.d;
      return last && Object.entries(d).every(([name, value]) => last[name] === value);
    },
    30_000,
  );

// There is at most one update per interval, and an unchanged count gives none. Late ticks are still a quarter of the interval
// apart; the test allows an eighth.
function assertUpdatesAreSpaced(subscriber) {
  const all = updates(subscriber);
  const allowed = updateMs / 8;
  all.slice(1).forEach((update, i) => {
    const apart = update.ts - all[i].ts;
    assert.ok(apart >= allowed, `two updates ${apart} ms apart`);
    assert.notDeepEqual(update.d, all[i].d);
  });
}

test('readers get the number of viewers, and a user cannot send it', async () => {
  const sidecar = await stack.sidecar(settings);
  const room = await knownStream('0190d000-0000-7000-8000-0000000a11cd');
  const reader = await Subscriber.to(sidecar.url, room);
  const viewers = new Viewers(sidecar.url, room, 120);
  await receivesUpdate(reader, { webrtc: null, hls: 120, total: 120 });
  assert.equal(viewers.refused, 0);
  const user = stack.user();
  const ownBeats = setInterval(() => heartbeat(sidecar.url, room, undefined, { headers: user.headers }).catch(() => {}), 100);
  await heartbeat(sidecar.url, room, 'a device of the same user', { headers: user.headers });
  await receivesUpdate(reader, { total: 121 });
  clearInterval(ownBeats);
  await receivesUpdate(reader, { total: 120 });
  const late = await Subscriber.to(sidecar.url, room);
  await until('a late joiner is ready', () => late.ready);
  assert.deepEqual(late.retained.map(({ envelope: { t, d } }) => [t, d.total]), [['viewer_count_update', 120]], 'a late joiner knows the count first');
  late.close();
  await viewers.stop();
  await receivesUpdate(reader, { hls: 0, total: 0 });

  const { text } = reader.frames[0];
  const envelope = checkEnvelope(text.slice(text.indexOf('"envelope":') + 11, -1), stack.keyring);
  assert.equal(envelope.s, nil);
  assert.equal(envelope.stream_id, room);
  assertUpdatesAreSpaced(reader);

  // The changing count of another stream measures the time in which the empty stream must send nothing.
  const other = await stack.stream();
  const clock = await Subscriber.to(sidecar.url, other);
  const before = reader.frames.length;
  for (let n = 1; n <= 6; ++n) {
    await heartbeat(sidecar.url, other, `viewer ${n}`);
    await until('the next update', () => updates(clock).length >= n);
  }
  assert.equal(reader.frames.length, before, 'a count of 0 is sent once');

  const forged = { stream_id: room, t: 'viewer_count_update', d: { total: 1 }, txn_id: randomUUID() };
  const answer = await request(`${sidecar.url}/rpc/send_message`, { method: 'POST', headers: user.headers, body: forged });
  assert.equal(answer.json.code, 'role_required');
  for (const subscriber of [reader, clock]) subscriber.close();
  await sidecar.stop();
});

test('a heartbeat needs a valid viewer_id, and on a private stream a member', async () => {
  const sidecar = await stack.sidecar(settings);
  const room = await stack.stream();
  const privateRoom = await stack.stream({ visibility: 'private' });
  const [member, stranger] = [stack.user(), stack.user()];
  await stack.grant(privateRoom, member, 'vip');
  const refused = async (answer, status, code) => {
    const { status: was, text, json } = await answer;
    assert.equal(was, status, text);
    assert.equal(json.code, code, text);
  };
  await refused(heartbeat(sidecar.url, randomUUID(), 'a'), 404, 'stream_not_found');
  await refused(heartbeat(sidecar.url, 'nonsense', 'a'), 400, 'invalid_request');
  await refused(heartbeat(sidecar.url, room), 400, 'invalid_request');
  for (const viewerId of ['', 'x'.repeat(129), 'line\nbreak', 7, null]) {
    await refused(heartbeat(sidecar.url, room, viewerId), 400, 'invalid_request');
  }
  await refused(request(`${sidecar.url}/streams/${room}/heartbeat`, { method: 'POST', body: '{"viewer_id":' }), 400, 'invalid_json');
  await refused(request(`${sidecar.url}/streams/${room}/heartbeat`, { method: 'POST', body: { viewer_id: 'a', ip: 'b' } }), 400, 'invalid_request');
  await refused(heartbeat(sidecar.url, privateRoom, 'a'), 401, 'unauthenticated');
  await refused(heartbeat(sidecar.url, privateRoom, 'a', { headers: stranger.headers }), 403, 'role_required');
  await refused(heartbeat(sidecar.url, room, 'a', { headers: { authorization: 'Bearer nonsense' } }), 401, 'unauthenticated');

  const ticket = await request(`${sidecar.url}/streams/${privateRoom}/token`, { method: 'POST', headers: member.headers });
  const query = `?access_token=${ticket.json.access_token}`;
  for (const [streamId, viewerId, options] of [
    [room, 'x'.repeat(128)],
    [room, 'Zoë 🎥'],
    [room, undefined, { headers: stranger.headers }],
    [privateRoom, undefined, { headers: member.headers }],
    [privateRoom, undefined, { query }],
  ]) {
    const answer = await heartbeat(sidecar.url, streamId, viewerId, options);
    assert.equal(answer.status, 204, answer.text);
    assert.equal(answer.text, '');
  }
  await sidecar.stop();
});

test('heartbeats without a session store no message in a stream that nobody follows', async () => {
  const sidecar = await stack.sidecar(settings);
  const [alone, followed, unknown] = [await stack.stream(), await stack.stream(), randomUUID()];
  const reader = await Subscriber.to(sidecar.url, followed);
  const viewers = [alone, followed, unknown].map((stream) => new Viewers(sidecar.url, stream, 3));
  await receivesUpdate(reader, { total: 3 });
  // The counts of the other stream show that the leader has counted this one several times.
  for (const count of [4, 5]) {
    viewers[1].count = count;
    await receivesUpdate(reader, { total: count });
  }
  const messages = (stream) => stack.query('select t from sealcast.messages where stream_id = $1', [stream]);
  assert.deepEqual(await messages(alone), []);
  assert.deepEqual(await stack.query('select from sealcast.viewer_counts where stream_id = $1', [alone]), []);
  assert.notEqual(await stack.redis('--scan', '--pattern', `*${alone}*`), '');
  assert.equal(await stack.redis('--scan', '--pattern', `*${unknown}*`), '', 'an unknown stream gets no key');

  // A session stands for somebody who may see the count, and so does a message.
  assert.equal((await heartbeat(sidecar.url, alone, undefined, { headers: stack.user().headers })).status, 204);
  await until('the count of 4', async () => (await messages(alone)).length > 0);
  const talking = await stack.stream();
  viewers.push(new Viewers(sidecar.url, talking, 2));
  assert.equal((await send(sidecar.url, stack.user(), message(talking))).status, 200);
  await until('the count of 2', async () => (await messages(talking)).some(({ t }) => t === 'viewer_count_update'));
  for (const each of viewers) await each.stop();
  reader.close();
  await sidecar.stop();
});

test('thousands of streams with viewers in one shard are counted, and sends go on', async () => {
  const windowMs = 60_000;
  const sidecar = await stack.sidecar({ ...settings, SEALCAST_AUDIENCE_WINDOW_MS: String(windowMs) });
  // The last byte of a stream's id selects its shard. These streams are in shard 0.
  const ids = Array.from({ length: 3000 }, (_, i) => `0190d000-0000-7000-8000-${String(i).padStart(10, '0')}00`);
  const third = windowMs / 3;
  const begin = Math.floor(Date.now() / third) * third;
  for (const key of [`sealcast:{watched-0}:${begin}`, `sealcast:{followed-0}:${begin}`]) {
    await stack.redis('sadd', key, ...ids);
    await stack.redis('pexpire', key, String(2 * windowMs));
  }
  const room = await knownStream('0190d000-0000-7000-8000-0000000a1200');
  const reader = await Subscriber.to(sidecar.url, room);
  const viewers = new Viewers(sidecar.url, room, 7);
  await receivesUpdate(reader, { total: 7 });
  assert.equal((await send(sidecar.url, stack.user(), message(room))).status, 200);
  await viewers.stop();
  reader.close();
  await sidecar.stop();
  await stack.redis('del', `sealcast:{watched-0}:${begin}`, `sealcast:{followed-0}:${begin}`);
});

test('heartbeats without a session are limited per client address', async () => {
  const proxied = { SEALCAST_HTTP_TRUSTED_PROXIES: '127.0.0.1', SEALCAST_AUDIENCE_RATE_PER_ADDRESS: '3' };
  const sidecar = await stack.sidecar({ ...settings, ...proxied });
  const room = await stack.stream();
  const from = (address, headers = {}) => heartbeat(sidecar.url, room, 'a', { headers: { 'x-forwarded-for': address, ...headers } });
  let answers;
  await until('four heartbeats within one second', async () => {
    const began = Date.now();
    answers = [];
    for (let i = 0; i < 4; i++) answers.push(await from('192.0.2.1'));
    return Date.now() - began < 900 && answers.some(({ status }) => status === 429);
  });
  const refused = answers.find(({ status }) => status === 429);
  assert.equal(refused.json.code, 'rate_limited');
  assert.equal(refused.headers['retry-after'], '1');
  assert.equal((await from('192.0.2.2')).status, 204, 'another address');
  for (let i = 0; i < 8; i++) assert.equal((await from('192.0.2.1', stack.user().headers)).status, 204, 'with a session');
  await sidecar.stop();
});

test('a heartbeat works without the database', async () => {
  const sidecar = await stack.sidecar(settings);
  const room = await stack.stream();
  assert.equal((await heartbeat(sidecar.url, room, 'a')).status, 204);
  await stack.stop('postgres', 'SIGINT');
  for (let i = 0; i < 100; ++i) assert.equal((await heartbeat(sidecar.url, room, `viewer ${i}`)).status, 204);
  await stack.startPostgres();
  await sidecar.stop();
});

test('without Redis the count is null, not 0', async () => {
  const sidecar = await stack.sidecar(settings);
  const room = await stack.stream();
  const reader = await Subscriber.to(sidecar.url, room);
  const viewers = new Viewers(sidecar.url, room, 20);
  await receivesUpdate(reader, { hls: 20, total: 20 });
  await stack.stop('redis', 'SIGKILL');
  await receivesUpdate(reader, { hls: null, total: null });
  const answer = await heartbeat(sidecar.url, room, 'a');
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.code, 'audience_unavailable');
  assert.ok(Number(answer.headers['retry-after']) >= 1);
  assert.match((await request(`${sidecar.url}/metrics`)).text, /sealcast_audience_failures_total\{source="hls"\} [1-9]/);
  await stack.startRedis();
  await receivesUpdate(reader, { hls: 20, total: 20 });
  await viewers.stop();
  await receivesUpdate(reader, { total: 0 });
  const counted = updates(reader).map(({ d }) => d.hls);
  const between = counted.slice(counted.indexOf(20), counted.lastIndexOf(20));
  assert.ok(between.every((hls) => hls === null || hls === 20), `${counted}: a count that misses viewers`);
  assertUpdatesAreSpaced(reader);
  reader.close();
  await sidecar.stop();
});

test('a restart of Redis between two counts makes no count that misses viewers', async () => {
  const sidecar = await stack.sidecar(settings);
  const room = await stack.stream();
  const reader = await Subscriber.to(sidecar.url, room);
  const viewers = new Viewers(sidecar.url, room, 20);
  for (let restart = 0; restart < 3; ++restart) {
    const seen = updates(reader).length;
    await until('the count is complete', () => updates(reader).slice(seen).some(({ d }) => d.hls === 20), 30_000);
    await stack.stop('redis', 'SIGKILL');
    await stack.startRedis();
  }
  await until('the count is null', () => updates(reader).at(-1).d.hls === null, 30_000);
  await until('the count is complete again', () => updates(reader).at(-1).d.hls === 20, 30_000);
  const counted = updates(reader).map(({ d }) => d.hls);
  const since = counted.slice(counted.indexOf(20));
  assert.ok(since.every((hls) => hls === null || hls === 20), `${since}: a count that misses viewers`);
  await viewers.stop();
  reader.close();
  await sidecar.stop();
});

for (const [what, signal] of [['killed', 'SIGKILL'], ['frozen', 'SIGSTOP']]) {
  test(`with the leader ${what}, counts continue without a repeated update`, { timeout: 120_000 }, async () => {
    const second = { ...settings, SEALCAST_GATE_SOCKET: '' };
    const holders = async () =>
      (await stack.query('select distinct holder from sealcast_internal.relay_leases where lease_until > clock_timestamp()')).map((r) => r.holder);
    const leader = await stack.sidecar(second);
    await until('the first sidecar leads', async () => (await holders()).join() === leader.holder);
    const successor = await stack.sidecar(second);
    const room = await stack.stream();
    const reader = await Subscriber.to(successor.url, room);
    const viewers = new Viewers(successor.url, room, 10);
    await receivesUpdate(reader, { total: 10 });
    leader.process.kill(signal);
    await until('the successor leads', async () => (await holders()).join() === successor.holder, 20_000);
    viewers.count = 15;
    await receivesUpdate(reader, { total: 15 });
    leader.process.kill('SIGCONT');
    viewers.count = 20;
    await receivesUpdate(reader, { total: 20 });
    await viewers.stop();
    await receivesUpdate(reader, { total: 0 });
    assertUpdatesAreSpaced(reader);
    reader.close();
    if (signal === 'SIGKILL') await leader.exited;
    else await leader.stop();
    await successor.stop();
  });
}

test('viewers in LiveKit rooms are counted separately, and are null while LiveKit fails', async (t) => {
  const livekit = await ContractService.start('livekit');
  t.after(() => livekit.close());
  const sidecar = await stack.sidecar({
    ...settings,
    SEALCAST_LIVEKIT_URL: livekit.url,
    SEALCAST_LIVEKIT_API_KEY: 'the.key',
    SEALCAST_LIVEKIT_API_SECRET_FILE: livekit.file('api-secret', 'secret'),
    SEALCAST_LIVEKIT_ROOM: 'show-{stream_id}',
    SEALCAST_LIVEKIT_CA_FILE: livekit.certificates,
  });
  const room = await stack.stream();
  const reader = await Subscriber.to(sidecar.url, room);
  const participants = (n) => livekit.command({ do: 'rooms', rooms: { [`show-${room}`]: n, lobby: 3 } });
  await participants(7);
  await receivesUpdate(reader, { webrtc: 7, hls: 0, total: 7 });
  const viewers = new Viewers(sidecar.url, room, 5);
  await receivesUpdate(reader, { webrtc: 7, hls: 5, total: 12 });
  await livekit.faults({ fail_share: 1 });
  await receivesUpdate(reader, { webrtc: null, hls: 5, total: null });
  await livekit.faults();
  await participants(8);
  await receivesUpdate(reader, { webrtc: 8, hls: 5, total: 13 });
  await viewers.stop();
  await livekit.command({ do: 'rooms', rooms: {} });
  await receivesUpdate(reader, { webrtc: 0, hls: 0, total: 0 });
  assertUpdatesAreSpaced(reader);
  reader.close();
  await sidecar.stop();
});

test('100,000 viewers are counted within 2 %', { timeout: 120_000 }, async () => {
  // Long times, so that a slow machine or a sanitizer does not fail the test.
  const patient = { SEALCAST_AUDIENCE_WINDOW_MS: '120000', SEALCAST_GATE_TIMEOUT_MS: '10000' };
  const sidecar = await stack.sidecar({ ...settings, ...patient });
  const room = await knownStream('0190d000-0000-7000-8000-0000000a11ce');
  const reader = await Subscriber.to(sidecar.url, room);
  const viewers = 100_000;
  const began = Date.now();
  await beatAtOnce(sidecar.url, room, viewers);
  const rate = Math.round(viewers / ((Date.now() - began) / 1000));
  // The changing count of another stream shows that the leader has counted this one after the last heartbeat.
  const other = await stack.stream();
  const clock = await Subscriber.to(sidecar.url, other);
  for (let n = 1; n <= 3; ++n) {
    await heartbeat(sidecar.url, other, `viewer ${n}`);
    await until('the next update', () => updates(clock).length >= n, 30_000);
  }
  clock.close();
  await until('the count', () => updates(reader).length > 0);
  const error = Math.abs(updates(reader).at(-1).d.hls - viewers) / viewers;
  console.log(`# ${rate} heartbeats per second, counted with an error of ${(100 * error).toFixed(2)} %`);
  assert.ok(error < 0.02, `an error of ${100 * error} %`);
  reader.close();
  await sidecar.stop();
});
