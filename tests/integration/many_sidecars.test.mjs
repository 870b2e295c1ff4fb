// Two sidecars on one database: each message reaches the subscribers of both once, also when the leader dies or freezes.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Proxy } from '../client/proxy.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { Load } from './load.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack;
before(async () => {
  stack = await PrivateStack.create();
});
after(() => stack.close());

const second = { SEALCAST_GATE_SOCKET: '' };
const holders = async () =>
  (await stack.query('select distinct holder from sealcast_internal.relay_leases where lease_until > clock_timestamp()')).map((r) => r.holder);

function assertGapFree(subscriber, acknowledged) {
  assert.deepEqual(subscriber.frames.map((f) => f.offset), Array.from({ length: acknowledged.size }, (_, i) => i + 1));
  assert.deepEqual(new Set(subscriber.frames.map((f) => f.envelope.txn_id)), new Set(acknowledged.keys()));
}

test('subscribers of both sidecars get every message once and in the same order', { timeout: 120_000 }, async () => {
  const sidecars = [await stack.sidecar(), await stack.sidecar(second)];
  const rooms = await Promise.all([stack.stream(), stack.stream(), stack.stream()]);
  for (const room of rooms) {
    const subscribers = await Promise.all(sidecars.map(({ url }) => Subscriber.to(url, room)));
    const load = new Load(stack, room, sidecars.map(({ url }) => url));
    await until('messages flow', () => load.acknowledged.size > 300);
    await load.stop();
    await load.resend(sidecars[0].url);
    for (const subscriber of subscribers) {
      await subscriber.received(load.acknowledged.size);
      assertGapFree(subscriber, load.acknowledged);
      subscriber.close();
    }
    assert.deepEqual(subscribers[0].frames, subscribers[1].frames);
  }
  const replayed = message(rooms[0], 'to both');
  const user = stack.user();
  const answers = await Promise.all(sidecars.map(({ url }) => send(url, user, replayed)));
  assert.equal(answers[0].text, answers[1].text);
  for (const sidecar of sidecars) await sidecar.stop();
  assert.deepEqual(await holders(), [], 'a sidecar that stops releases its leases');
});

test('a reader at a sidecar whose relay has no position yet misses no message of another relay', async () => {
  const leader = await stack.sidecar(second);
  const room = await stack.stream();
  const sendText = async (content) => assert.equal((await send(leader.url, stack.user(), message(room, content))).status, 200);
  await sendText('before');
  const { host, port, database } = stack.postgres;
  const proxy = await Proxy.to('tcp://postgres', { path: join(host, `.s.PGSQL.${port}`) });
  proxy.refuse();
  const late = await stack.launch({
    ...second,
    SEALCAST_RELAY_DSN: `host=127.0.0.1 port=${proxy.port} dbname=${database} user=sealcast_service`,
  });
  await until('the late sidecar serves the history', async () => (await request(`${late.url}/streams/${room}/messages`)).status === 200);
  let subscriber;
  const subscribing = until('the late sidecar serves events', () => Subscriber.to(late.url, room, { lastEventId: 0 }), 30_000);
  subscribing.then((open) => (subscriber = open), () => {});
  const seen = await Subscriber.to(leader.url, room, { lastEventId: 0 });
  for (let i = 0; i < 20; i++) await sendText(`meanwhile ${i}`);
  await seen.received(21);
  proxy.refuse(false);
  await late.ready();
  await sendText('after');
  await subscribing;
  await subscriber.received(22);
  assert.deepEqual(subscriber.frames.map((f) => f.offset), Array.from({ length: 22 }, (_, i) => i + 1));
  for (const each of [subscriber, seen]) each.close();
  for (const each of [leader, late]) await each.stop();
  await proxy.close();
});

// Receives this many frames. When messages flow again, a reader may be cut off because it lags too far behind them. Then it
// resumes, as EventSource does.
async function receiveAll(subscriber, sidecar, room, count) {
  for (;;) {
    await until('the reader is cut off, or has every message', () => !subscriber.open || subscriber.frames.length >= count, 60_000);
    if (subscriber.frames.length >= count) return;
    const back = await Subscriber.to(sidecar.url, room, { lastEventId: subscriber.lastEventId });
    await until('the reader is cut off again, or has every message', () => !back.open || subscriber.frames.length + back.frames.length >= count, 60_000);
    subscriber.frames.push(...back.frames);
    subscriber.lastEventId = back.lastEventId;
    back.close();
  }
}

test('when the leader is killed under load the other sidecar takes over within 8 seconds', { timeout: 120_000 }, async () => {
  const leader = await stack.sidecar(second);
  await until('the first sidecar leads', async () => (await holders()).join() === leader.holder);
  const successor = await stack.sidecar(second);
  const room = await stack.stream();
  const subscriber = await Subscriber.to(successor.url, room);
  const load = new Load(stack, room, [successor.url]);
  await until('messages flow', () => subscriber.frames.length > 100);
  assert.deepEqual(await holders(), [leader.holder], 'the successor holds no lease yet');
  leader.process.kill('SIGKILL');
  const killed = Date.now();
  await leader.exited;
  const relayed = subscriber.frames.length;
  await until('messages flow again', () => subscriber.frames.length > relayed + 100, 20_000);
  const gap = Date.now() - killed;
  assert.ok(gap < 8000, `taken over after ${gap} ms`);
  assert.deepEqual(await holders(), [successor.holder]);
  await load.stop();
  assert.deepEqual(load.unacknowledged, []);
  await receiveAll(subscriber, successor, room, load.acknowledged.size);
  assertGapFree(subscriber, load.acknowledged);
  subscriber.close();
  await successor.stop();
});

test('a leader that is frozen past its lease is replaced, and changes nothing when it wakes', { timeout: 120_000 }, async () => {
  const leader = await stack.sidecar(second);
  await until('the first sidecar leads', async () => (await holders()).join() === leader.holder);
  const successor = await stack.sidecar(second);
  const room = await stack.stream();
  const subscribers = await Promise.all([leader, successor].map(({ url }) => Subscriber.to(url, room)));
  const load = new Load(stack, room, [successor.url]);
  await until('messages flow', () => subscribers[1].frames.length > 100);
  leader.process.kill('SIGSTOP');
  await until('the successor leads', async () => (await holders()).join() === successor.holder, 20_000);
  const relayed = subscribers[1].frames.length;
  await until('messages flow again', () => subscribers[1].frames.length > relayed + 100);
  leader.process.kill('SIGCONT');
  const woken = load.acknowledged.size;
  await until('messages flow after it woke', () => load.acknowledged.size > woken + 200);
  await load.stop();
  assert.deepEqual(load.unacknowledged, []);
  for (const [i, sidecar] of [leader, successor].entries()) {
    await receiveAll(subscribers[i], sidecar, room, load.acknowledged.size);
    assertGapFree(subscribers[i], load.acknowledged);
  }
  for (const subscriber of subscribers) subscriber.close();
  await leader.stop();
  await successor.stop();
});
