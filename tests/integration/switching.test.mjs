// Moves a stream's readers to another transport and back: by the number of viewers, with real heartbeats, a real broker and the
// egress example behind the webhook; by set_delivery_mode(); and while the leader is killed at every step.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Broker } from './broker.mjs';
import { ContractService } from './contract_service.mjs';
import { EgressExample } from './egress_example.mjs';
import { Viewers } from './viewers.mjs';
import { Subscriber, request } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, broker, livekit;
before(async () => {
  stack = await PrivateStack.create();
  broker = await Broker.start(stack);
  livekit = await ContractService.start('livekit');
});
after(async () => {
  await Viewers.stopAll();
  for (const example of examples) await example.stop();
  await livekit?.close();
  await stack?.close();
});

const settings = (more = {}) => ({
  SEALCAST_AUDIENCE_WINDOW_MS: '1500',
  SEALCAST_AUDIENCE_UPDATE_MS: '200',
  SEALCAST_AUDIENCE_RATE_PER_ADDRESS: '0',
  SEALCAST_MQTT_URL: broker.url,
  SEALCAST_MQTT_READERS_PER_SECOND: '40',
  SEALCAST_MQTT_TOKEN_SECRET_FILE: livekit.file('token-secret', 's'.repeat(32)),
  SEALCAST_DELIVERY_STANDARD: 'sse',
  SEALCAST_DELIVERY_HYBRID: 'sse,mqtt',
  SEALCAST_DELIVERY_HOT: 'mqtt',
  SEALCAST_SWITCHING_TARGET: 'mqtt',
  SEALCAST_SWITCHING_SOFT_LIMIT: '8',
  SEALCAST_SWITCHING_HARD_LIMIT: '10',
  SEALCAST_SWITCHING_LOW_LIMIT: '6',
  SEALCAST_SWITCHING_HOLD_MS: '500',
  SEALCAST_SWITCHING_WINDOW_MS: '2000',
  SEALCAST_SWITCHING_OVERLAP_MS: '700',
  ...more,
});

const examples = [];
async function startExample(options) {
  const example = await EgressExample.start(livekit, options);
  examples.push(example);
  return example;
}
const webhook = ({ url, secret }) => ({
  SEALCAST_SWITCHING_WEBHOOK_URL: url,
  SEALCAST_SWITCHING_WEBHOOK_SECRET_FILE: livekit.file('webhook-secret', secret),
});
// LiveKit records a room only while it has a participant.
const openRoom = (room) => livekit.command({ do: 'rooms', rooms: { [room]: 1 } });

const roomsWithEgress = async (status) =>
  (await livekit.command({ do: 'egresses' })).egresses.filter((e) => e.status === status).map((e) => e.room_name);
const stepOf = async (room) =>
  (await stack.query('select step from sealcast.switching where stream_id = $1', [room]))[0]?.step ?? 'standard';
const reaches = (room, step, limit = 30_000) => until(`the stream is at step ${step}`, async () => (await stepOf(room)) === step, limit);
const changes = async (room) =>
  (await stack.query("select reason || ' ' || to_mode as change from sealcast.delivery_changes where stream_id = $1 order by change_id", [room])).map((row) => row.change);
const moves = ({ frames }) => frames.filter(({ envelope: { t } }) => t.startsWith('transport_')).map(({ envelope: { t, d } }) => d.target ?? t);
// What a late joiner is told first about the transport of the stream.
async function toldFirst(url, room) {
  const joiner = await Subscriber.to(url, room);
  await until('the joiner is ready', () => joiner.ready);
  joiner.close();
  return moves({ frames: joiner.retained });
}
// The list without consecutive repeats.
const distinct = (list) => list.filter((each, i) => each !== list[i - 1]);
const chat = (room, n) =>
  stack.query(
    `select from sealcast.admit(array[$1]::uuid[], array['chat'], array[gen_random_uuid()], array[gen_random_uuid()], array[format('{"content":"%s"}', $2::text)])`,
    [room, n],
  );

test('the number of viewers moves a stream to MQTT and back, and each step is announced, recorded and measured', async () => {
  const example = await startExample();
  const sidecar = await stack.sidecar({ ...settings(), ...webhook(example) });
  const room = await stack.stream();
  await openRoom(room);
  await broker.read([room]);
  const reader = await Subscriber.to(sidecar.url, room);
  const viewers = new Viewers(sidecar.url, room, 7);
  await until('7 viewers are counted', () => reader.frames.some(({ envelope: { d } }) => d.total === 7));
  assert.equal(await stepOf(room), 'standard');
  viewers.count = 9;
  await reaches(room, 'warming');
  await until('the egress runs', async () => (await roomsWithEgress('EGRESS_ACTIVE')).includes(room));
  await until('the probe has arrived', () => broker.frames.get(room).some(({ envelope }) => envelope.t === 'transport_warmup'));
  assert.equal(await stepOf(room), 'warming', 'between the limits the step does not change');
  assert.match((await request(`${sidecar.url}/metrics`)).text, /^sealcast_switching_streams\{step="warming"\} 1$/m);
  viewers.count = 12;
  await reaches(room, 'joining');
  await until('transport_migrate is sent', () => moves(reader).includes('mqtt'));
  const { d } = reader.frames.find(({ envelope }) => envelope.d.target === 'mqtt').envelope;
  const { spread_ms: spread, ...others } = d;
  assert.deepEqual(others, { type: 'migrate', target: 'mqtt', channel_id: `sealcast/${room}`, token: 'required', overlap_ms: 700 });
  assert.ok(spread >= 250 && spread <= 300, `10 to 12 viewers, 40 per second: ${spread} ms`);
  const exchanged = await request(`${sidecar.url}/streams/${room}/token`, { method: 'POST', body: { transport: 'mqtt' } });
  assert.equal(exchanged.status, 200, exchanged.text);
  assert.equal(exchanged.json.channel_id, d.channel_id);
  await reaches(room, 'hot');
  assert.deepEqual(await toldFirst(sidecar.url, room), ['mqtt'], 'a late joiner need not wait to learn where the stream is');
  viewers.count = 3;
  await reaches(room, 'leaving');
  await reaches(room, 'standard');
  await until('the egress has stopped', async () => (await roomsWithEgress('EGRESS_COMPLETE')).includes(room));
  assert.equal((await roomsWithEgress('EGRESS_ACTIVE')).includes(room), false);
  // The second message of each move is the one after the window.
  assert.deepEqual(moves(reader), ['transport_warmup', 'mqtt', 'mqtt', 'sse', 'sse']);
  assert.deepEqual(await toldFirst(sidecar.url, room), ['sse'], 'when the stream is back, a late joiner is sent nowhere else');
  const { d: home } = reader.frames.find(({ envelope }) => envelope.d.target === 'sse').envelope;
  assert.deepEqual(home, { type: 'migrate', target: 'sse', overlap_ms: 700, spread_ms: 2 }, '3 viewers, 2000 per second');
  assert.deepEqual(await changes(room), ['viewers hybrid', 'viewers hot', 'viewers hybrid', 'viewers standard']);
  const { text: metrics } = await request(`${sidecar.url}/metrics`);
  for (const action of ['warm', 'probe', 'join', 'heat', 'leave', 'cool', 'rest']) {
    assert.match(metrics, new RegExp(`^sealcast_switches_total\\{action="${action}"\\} 1$`, 'm'));
  }
  assert.ok(sidecar.log.some((line) => line.includes('"[SWITCHING]"')));

  // The broker got every frame from the warm-up until after the move back.
  await chat(room, 'after');
  await until('SSE carries the next message', () => reader.frames.at(-1).envelope.d.content === 'after');
  const offsets = broker.frames.get(room).map(({ offset }) => offset);
  const first = reader.frames.find(({ envelope }) => envelope.t === 'transport_warmup').offset;
  const back = reader.frames.find(({ envelope }) => envelope.d.target === 'sse').offset;
  assert.ok(offsets[0] <= first && offsets.at(-1) >= back && offsets.at(-1) < reader.frames.at(-1).offset);
  assert.deepEqual(offsets, offsets.map((_, i) => offsets[0] + i));
  await viewers.stop();
  reader.close();
  await sidecar.stop();
  broker.subscriber.kill();
});

test('a sidecar that has not read the delivery modes yet gives no frame to an outside transport, and then the right ones', async () => {
  await stack.query('revoke execute on function sealcast_internal.delivery_modes from sealcast_service');
  const sidecar = await stack.sidecar(settings());
  const [standard, hybrid] = [await stack.stream(), await stack.stream()];
  await stack.query("update sealcast.streams set delivery_mode = 'hybrid' where stream_id = $1", [hybrid]);
  await broker.read([standard, hybrid]);
  const reader = await Subscriber.to(sidecar.url, hybrid);
  await chat(standard, 'early');
  await chat(hybrid, 'early');
  await until('SSE carries the early message', () => reader.frames.some(({ envelope }) => envelope.d.content === 'early'));
  await stack.query('grant execute on function sealcast_internal.delivery_modes to sealcast_service');
  await until('MQTT carries the early message', () => broker.frames.get(hybrid).length > 0);
  assert.deepEqual(broker.frames.get(standard), []);
  reader.close();
  await sidecar.stop();
  broker.subscriber.kill();
});

test('a webhook that does not answer delays no step, and is called until it answers', async () => {
  const example = await startExample();
  await example.stop();
  const sidecar = await stack.sidecar({ ...settings(), ...webhook(example) });
  const room = await stack.stream();
  await openRoom(room);
  const viewers = new Viewers(sidecar.url, room, 12, { user: stack.user() });
  await reaches(room, 'hot');
  assert.ok(sidecar.log.some((line) => line.includes('the webhook did not accept')));
  await startExample({ secret: example.secret, port: example.port });
  await until('the egress runs', async () => (await roomsWithEgress('EGRESS_ACTIVE')).includes(room), 40_000);
  await viewers.stop();
  await reaches(room, 'standard', 40_000);
  await until('the egress has stopped', async () => !(await roomsWithEgress('EGRESS_ACTIVE')).includes(room));
  await sidecar.stop();
});

test('set_delivery_mode() moves readers, independently of the number of viewers', async () => {
  const sidecar = await stack.sidecar(settings());
  const room = await stack.stream();
  const reader = await Subscriber.to(sidecar.url, room);
  const set = (mode) => stack.query('select sealcast.set_delivery_mode($1, $2)', [room, mode]);
  await set('hybrid');
  await until('readers are moved', () => moves(reader).includes('mqtt'));
  assert.equal(await stepOf(room), 'joining', 'hybrid keeps readers on both transports');
  await set('hot');
  await reaches(room, 'hot');
  await set('standard');
  await until('readers are moved back', () => moves(reader).at(-1) === 'sse');
  await reaches(room, 'standard');
  await set('hot');
  await reaches(room, 'hot');
  await set(null);
  await until('the stream is back to automatic switching', async () => (await stack.query('select from sealcast.switching where stream_id = $1', [room])).length === 0, 30_000);
  assert.deepEqual(distinct(moves(reader)), ['transport_warmup', 'mqtt', 'sse', 'transport_warmup', 'mqtt', 'sse']);
  assert.deepEqual(await changes(room), [
    'forced hybrid', 'forced hot', 'forced hybrid', 'forced standard', 'forced hybrid', 'forced hot', 'viewers hybrid', 'viewers standard',
  ]);
  reader.close();
  await sidecar.stop();
});

test('while the target is frozen, both transports carry the stream and no more readers are sent there', { timeout: 120_000 }, async (t) => {
  const sidecar = await stack.sidecar(settings({ SEALCAST_SWITCHING_WINDOW_MS: '5000' }));
  const room = await stack.stream();
  const reader = await Subscriber.to(sidecar.url, room);
  await stack.query("select sealcast.set_delivery_mode($1, 'hot')", [room]);
  await reaches(room, 'joining');
  broker.signal('SIGSTOP');
  t.after(() => broker.signal('SIGCONT'));
  // The window has been over for several ticks.
  await until('the window is over', async () => {
    const [row] = await stack.query("select since < clock_timestamp() - interval '9 s' as over, step from sealcast.switching where stream_id = $1", [room]);
    assert.equal(row.step, 'joining');
    return row.over;
  });
  const sent = moves(reader).length;
  await chat(room, 'meanwhile');
  await until('SSE carries the next message', () => reader.frames.at(-1).envelope.d.content === 'meanwhile');
  assert.equal(moves(reader).length, sent);
  broker.signal('SIGCONT');
  await reaches(room, 'hot');
  await until('the last transport_migrate of the move has arrived', () => moves(reader).length === 3);
  assert.deepEqual(moves(reader), ['transport_warmup', 'mqtt', 'mqtt']);
  reader.close();
  await stack.query('delete from sealcast.streams where stream_id = $1', [room]);
  await sidecar.stop();
});

test('a stream that another transaction has locked does not hold up the others, and is named in the log', async (t) => {
  const sidecar = await stack.sidecar(settings());
  const rooms = [await stack.stream(), await stack.stream(), await stack.stream()];
  const holder = await stack.connect();
  t.after(() => holder.end());
  for (const room of rooms) await stack.query("select sealcast.set_delivery_mode($1, 'hot')", [room]);
  const [locked, ...others] = rooms;
  await holder.query('begin');
  await holder.query('select from sealcast.streams s join sealcast.switching using (stream_id) where stream_id = $1 for update', [locked]);
  const held = await stepOf(locked);
  await Promise.all(others.map((room) => reaches(room, 'hot')));
  assert.equal(await stepOf(locked), held);
  const named = (line) => line.includes('"Postgres refused to switch a stream; retrying"') && line.includes(locked);
  await until('the log names the stream', () => sidecar.log.some(named));
  await holder.query('rollback');
  await reaches(locked, 'hot');
  for (const room of rooms) await stack.query('delete from sealcast.streams where stream_id = $1', [room]);
  await sidecar.stop();
});

test('each step is taken once although the leader is killed at each', { timeout: 180_000 }, async () => {
  const room = await stack.stream();
  const second = { SEALCAST_GATE_SOCKET: '' };
  const sidecars = [await stack.sidecar(settings(second)), await stack.sidecar(settings(second))];
  const viewers = new Viewers(sidecars[0].url, room, 9, { user: stack.user() });
  const leader = async () => {
    const [row] = await stack.query(
      'select holder from sealcast_internal.relay_leases where shard = sealcast_internal.shard_of($1) and lease_until > clock_timestamp()', [room]);
    return sidecars.findIndex(({ holder, running }) => running && holder === row?.holder);
  };
  const killed = [];
  const killLeaderAtStep = async (step) => {
    await reaches(room, step, 40_000);
    const at = await until('the shard has a leader', async () => {
      const found = await leader();
      return found >= 0 ? found + 1 : 0;
    });
    sidecars[at - 1].process.kill('SIGKILL');
    await sidecars[at - 1].exited;
    killed.push(step);
    sidecars[at - 1] = await stack.sidecar(settings(second));
    viewers.url = sidecars[at - 1].url;
  };
  await killLeaderAtStep('warming');
  viewers.count = 12;
  await killLeaderAtStep('joining');
  await killLeaderAtStep('hot');
  await viewers.stop();
  await killLeaderAtStep('leaving');
  await reaches(room, 'standard', 40_000);
  const types = await stack.query(
    "select m.t || coalesce(' ' || (m.d::json ->> 'target'), '') as move from sealcast.messages m where stream_id = $1 and t like 'transport%' order by ts, message_id", [room]);
  assert.deepEqual(distinct(types.map((row) => row.move)), ['transport_warmup', 'transport_migrate mqtt', 'transport_migrate sse']);
  assert.deepEqual(await changes(room), ['viewers hybrid', 'viewers hot', 'viewers hybrid', 'viewers standard']);
  assert.deepEqual(killed, ['warming', 'joining', 'hot', 'leaving']);
  for (const sidecar of sidecars) await sidecar.stop();
});

test('the readers of a hot stream go home when it is closed, or when the settings name no target any more', { timeout: 120_000 }, async () => {
  let sidecar = await stack.sidecar(settings());
  const [closed, left] = [await stack.stream(), await stack.stream()];
  for (const room of [closed, left]) await stack.query("select sealcast.set_delivery_mode($1, 'hot')", [room]);
  for (const room of [closed, left]) await reaches(room, 'hot');
  await stack.query('update sealcast.streams set closed_at = now() where stream_id = $1', [closed]);
  await until('the closed stream is on its usual transport', async () => (await stepOf(closed)) === 'standard', 30_000);
  await stack.query('select sealcast.set_delivery_mode($1, null)', [closed]);
  await stack.query('update sealcast.streams set closed_at = null where stream_id = $1', [closed]);
  assert.equal((await toldFirst(sidecar.url, closed)).at(-1), 'sse', 'when it opens again, late joiners are not sent to the former target');
  await sidecar.stop();
  sidecar = await stack.sidecar(settings({ SEALCAST_SWITCHING_TARGET: '' }));
  await until('late joiners are sent home', async () => (await toldFirst(sidecar.url, left)).at(-1) === 'sse', 30_000);
  for (const room of [closed, left]) await stack.query('delete from sealcast.streams where stream_id = $1', [room]);
  await sidecar.stop();
});

test('a sidecar does not start with contradictory switching settings', async () => {
  for (const [wrong, complaint] of [
    [{ SEALCAST_SWITCHING_TARGET: 'ably' }, /switching\.target is "ably", which is off/],
    [{ SEALCAST_SWITCHING_TARGET: 'redis_streams' }, /a transport that readers cannot use/],
    [{ SEALCAST_SWITCHING_TARGET: 'sse' }, /is the same transport as switching\.home/],
    [{ SEALCAST_DELIVERY_HOT: 'sse' }, /which is not in delivery\.hot/],
    [{ SEALCAST_SWITCHING_LOW_LIMIT: '8' }, /SEALCAST_SWITCHING_LOW_LIMIT is not below switching\.soft_limit/],
    [{ SEALCAST_SWITCHING_HARD_LIMIT: '7' }, /is greater than switching\.hard_limit/],
    [{ SEALCAST_SWITCHING_WEBHOOK_URL: 'http://127.0.0.1:1' }, /without switching\.webhook_secret_file/],
    [{ SEALCAST_SWITCHING_WEBHOOK_URL: 'http://127.0.0.1:1', SEALCAST_SWITCHING_WEBHOOK_SECRET_FILE: livekit.file('weak', 'whsec_AAAA') }, /24 to 64 bytes/],
  ]) {
    await assert.rejects(stack.sidecar(settings(wrong)), (error) => complaint.test(error.message) || assert.fail(error.message));
  }
});
