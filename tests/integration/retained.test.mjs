// Retained messages: a late joiner gets the state of the stream first, from the memory of the sidecar, and nobody gets a
// redacted message.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until, within } from './waiting.mjs';

let stack;
const sidecars = [];
before(async () => {
  stack = await PrivateStack.create();
  await stack.query(`insert into sealcast.message_types (t, tier, retained, rate) values ('poll', 1, true, 1000)`);
});
afterEach(async () => {
  for (const sidecar of sidecars.splice(0)) if (sidecar.running) await sidecar.stop();
});
after(() => stack?.close());

async function start() {
  const sidecar = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  sidecars.push(sidecar);
  return sidecar;
}

const poll = (room, d) => ({ stream_id: room, t: 'poll', d, txn_id: randomUUID() });
async function ask(sidecar, user, room, d) {
  const answer = await send(sidecar.url, user, poll(room, d));
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}
const stateOf = (sidecar, room, { headers = {}, query = '' } = {}) => request(`${sidecar.url}/streams/${room}/state${query}`, { headers });
const contents = (frames) => frames.map(({ envelope: { d } }) => [d.key ?? '', d.n]);
// The state as GET shows it once every message up to this offset is relayed.
const relayed = (sidecar, room, offset) =>
  until(`offset ${offset} is relayed`, async () => (await stateOf(sidecar, room)).json?.last >= offset);
async function joined(sidecar, room, options) {
  const reader = await Subscriber.to(sidecar.url, room, options);
  await until('the reader is ready', () => reader.ready);
  return reader;
}
test('a late joiner gets the newest message of each key first, and then what comes next', async () => {
  const sidecar = await start();
  const [room, user] = [await stack.stream(), stack.user()];
  for (const d of [{ key: 'a', n: 1 }, { n: 2 }, { key: 'a', n: 3 }]) await ask(sidecar, user, room, d);
  await send(sidecar.url, user, message(room, 'a chat message'));
  await relayed(sidecar, room, 4);

  const reader = await joined(sidecar, room);
  assert.deepEqual(contents(reader.retained), [['', 2], ['a', 3]]);
  assert.deepEqual(reader.retained.map(({ offset, prev }) => [offset, prev]), [[2, 1], [3, 2]]);
  for (const { envelope } of reader.retained) checkEnvelope(JSON.stringify(envelope), stack.keyring);
  assert.deepEqual(reader.frames, []);
  assert.equal(reader.lastEventId.split(':')[1], '4', '`ready` names the offset up to which the reader has the state');

  await ask(sidecar, user, room, { key: 'b', n: 5 });
  assert.deepEqual((await reader.received(1)).map(({ offset, retained }) => [offset, retained]), [[5, undefined]]);
  assert.deepEqual(contents((await joined(sidecar, room)).retained), [['', 2], ['a', 3], ['b', 5]]);

  const resumed = await joined(sidecar, room, { lastEventId: reader.lastEventId });
  assert.deepEqual(resumed.retained, [], 'a reader that resumes gets what it has missed, and nothing twice');
});

test('GET state returns the retained messages on both channels, to those who may read the stream', async () => {
  const sidecar = await start();
  const [room, vip, guest] = [await stack.stream({ visibility: 'private' }), stack.user(), stack.user()];
  await stack.grant(room, vip, 'vip');
  await ask(sidecar, vip, room, { n: 1 });
  await until('the state is there', async () => (await stateOf(sidecar, room, vip)).json?.messages.length === 1);
  const answers = await Promise.all(['', '?channel=public', '?channel=vip'].map((query) => stateOf(sidecar, room, { headers: vip.headers, query })));
  for (const { status, json } of answers) {
    assert.equal(status, 200);
    assert.deepEqual([json.last, json.epoch, contents(json.messages), json.messages[0].retained], [1, await stack.logEpoch(), [['', 1]], true]);
  }
  assert.equal((await stateOf(sidecar, room, guest)).json.code, 'role_required');
  assert.equal((await stateOf(sidecar, room)).json.code, 'unauthenticated');
  assert.equal((await stateOf(sidecar, randomUUID())).json.code, 'stream_not_found');
  assert.equal((await stateOf(sidecar, room, { headers: vip.headers, query: '?channel=secret' })).json.code, 'invalid_request');
  const empty = await stateOf(sidecar, await stack.stream());
  assert.deepEqual([empty.json.messages, empty.json.last], [[], 0]);
});

test('the rules of a stream are retained', async () => {
  const sidecar = await start();
  const [room, owner] = [await stack.stream(), stack.user()];
  await stack.grant(room, owner, 'owner');
  for (const slow_mode_s of [5, 60]) {
    const body = { stream_id: room, rules: { slow_mode_s } };
    assert.equal((await request(`${sidecar.url}/rpc/set_stream_rules`, { method: 'POST', headers: owner.headers, body })).status, 200);
  }
  await relayed(sidecar, room, 2);
  const { retained } = await joined(sidecar, room);
  assert.deepEqual(retained.map(({ envelope }) => [envelope.t, envelope.d.slow_mode_s]), [['stream_rules', 60]]);
});

test('where the readers of a stream are, its sampling rate and its viewer count are retained, on both channels', async () => {
  const sidecar = await start();
  const [room, vip] = [await stack.stream(), stack.user()];
  await stack.grant(room, vip, 'vip');
  const say = (t, d) =>
    stack.query(
      `select from sealcast.admit(array[$1]::uuid[], array[$2], array['00000000-0000-0000-0000-000000000000']::uuid[], array[gen_random_uuid()], array[$3])`,
      [room, t, JSON.stringify(d)],
    );
  const newest = [['transport_migrate', { target: 'sse' }], ['sampling_update', { active: false, rate: 100 }], ['viewer_count_update', { hls: 0, total: 0, webrtc: null }]];
  for (const [t, d] of [['transport_migrate', { target: 'mqtt' }], ['sampling_update', { active: true, rate: 5 }], ['viewer_count_update', { hls: 7, total: 7, webrtc: null }], ...newest]) await say(t, d);
  await relayed(sidecar, room, 6);
  const told = (frames) => frames.map(({ envelope: { t, d } }) => [t, d]);
  for (const channel of ['public', 'vip']) {
    const reader = await joined(sidecar, room, { headers: vip.headers, query: `?channel=${channel}` });
    assert.deepEqual(told(reader.retained), newest, channel);
    const answer = await stateOf(sidecar, room, { headers: vip.headers, query: `?channel=${channel}` });
    assert.deepEqual(told(answer.json.messages), newest, channel);
  }
});

test('a joiner gets the state from the memory of the sidecar', async () => {
  const sidecar = await start();
  const [room, user] = [await stack.stream(), stack.user()];
  await ask(sidecar, user, room, { n: 1 });
  await relayed(sidecar, room, 1);
  const blocker = await stack.connect();
  try {
    await blocker.query('begin; lock table sealcast.retained_messages');
    for (let n = 0; n < 20; n++) assert.equal((await joined(sidecar, room)).retained.length, 1);
  } finally {
    await blocker.end();
  }
});

test('a redacted message is given to no late joiner: before its announcement is relayed, nor after the sidecar is killed', { timeout: 120_000 }, async () => {
  let sidecar = await start();
  const [room, user, moderator] = [await stack.stream(), stack.user(), stack.user()];
  await stack.grant(room, moderator, 'moderator');
  await ask(sidecar, user, room, { key: 'a', n: 'secret' });
  await ask(sidecar, user, room, { key: 'b', n: 'kept' });
  await relayed(sidecar, room, 2);
  const early = await joined(sidecar, room);
  assert.deepEqual(contents(early.retained), [['a', 'secret'], ['b', 'kept']]);

  const blocker = await stack.connect();
  try {
    await blocker.query('begin; select from sealcast_internal.relay_leases for update');
    const body = { stream_id: room, offset: 1 };
    const answer = await request(`${sidecar.url}/rpc/redact_message`, { method: 'POST', headers: moderator.headers, body });
    assert.deepEqual([answer.status, answer.json], [200, true], answer.text);
    assert.deepEqual(contents((await stateOf(sidecar, room)).json.messages), [['b', 'kept']]);
    assert.deepEqual(contents((await joined(sidecar, room)).retained), [['b', 'kept']]);
    assert.equal(early.frames.length, 0, 'the announcement is not relayed yet');
    sidecar.process.kill('SIGKILL');
    await within('the sidecar has ended', sidecar.exited);
  } finally {
    await blocker.end();
  }
  sidecar = await start();
  assert.deepEqual(contents((await joined(sidecar, room)).retained), [['b', 'kept']]);
  await relayed(sidecar, room, 3);
  assert.deepEqual(contents((await joined(sidecar, room)).retained), [['b', 'kept']]);
});

test('the state survives a flushed Redis and a dump', { timeout: 120_000 }, async () => {
  const sidecar = await start();
  const [room, user] = [await stack.stream(), stack.user()];
  await ask(sidecar, user, room, { n: 1 });
  await relayed(sidecar, room, 1);
  await stack.redis('flushall');
  assert.deepEqual(contents((await joined(sidecar, room)).retained), [['', 1]]);
  await sidecar.stop();
  await stack.restore(await stack.dump());
  const restored = await start();
  assert.deepEqual(contents((await joined(restored, room)).retained), [['', 1]]);
});

test('two sidecars give the same state', async () => {
  const [one, two] = [await start(), await start()];
  const [room, user] = [await stack.stream(), stack.user()];
  for (const sidecar of [one, two]) await joined(sidecar, room);
  for (let n = 1; n <= 5; n++) {
    await ask(one, user, room, { n });
    await Promise.all([one, two].map((sidecar) => relayed(sidecar, room, n)));
    for (const sidecar of [one, two]) assert.deepEqual(contents((await joined(sidecar, room)).retained), [['', n]]);
  }
});
