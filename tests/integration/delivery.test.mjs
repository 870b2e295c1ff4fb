// Delivery to an outside service, with a real Redis as the service. Every committed message arrives in order per stream, whatever
// the service does. A failure of one stream or transport does not affect the others.
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import { Subscriber, message, request, send } from './http.mjs';
import { Load } from './load.mjs';
import { RedisTarget } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, target;
const sidecars = [];
before(async () => {
  stack = await PrivateStack.create();
  target = await RedisTarget.start(stack);
});
afterEach(async () => {
  for (const sidecar of sidecars.splice(0)) if (sidecar.running) await sidecar.stop();
  await stack.query("select sealcast.forget_transport('redis_streams')");
});
after(() => stack.close());

async function start(settings = {}) {
  // A long gate timeout, so that a busy machine does not fail these tests.
  const sidecar = await stack.sidecar({ SEALCAST_REDIS_STREAMS_URL: target.url, SEALCAST_GATE_TIMEOUT_MS: '5000', ...settings });
  sidecars.push(sidecar);
  // A new transport begins with the next message, so the test waits until it has begun.
  await until('the transport has begun', async () => (await status()) !== undefined);
  return sidecar;
}

const status = async () => (await stack.query("select * from sealcast.delivery_status where transport = 'redis_streams'"))[0];
const key = (room) => `sealcast:stream:${room}`;
const rooms = (count) => Promise.all(Array.from({ length: count }, () => stack.stream()));

async function metric(sidecar, name) {
  const { text } = await request(`${sidecar.url}/metrics`);
  return Number(text.match(new RegExp(`^${name}\\{transport="redis_streams"\\} (\\S+)$`, 'm'))[1]);
}

async function committed(room) {
  const rows = await stack.query(
    `select l."offset", m.txn_id from sealcast.stream_log l join sealcast.messages m using (ts, message_id)
     where l.stream_id = $1 order by 1`,
    [room],
  );
  return rows.map((row) => [Number(row.offset), row.txn_id]);
}

// Every committed message has arrived, once and in order.
async function assertArrived(...all) {
  for (const room of all) {
    const expected = await until('everything has its offset', async () => {
      const log = await committed(room);
      return log.length === (await stack.stored(room)).length && log;
    });
    await until(`${expected.length} messages have arrived`, async () => Number(await target.command('xlen', key(room))) >= expected.length, 60_000);
    const frames = await target.frames(room);
    assert.deepEqual(frames.map((f) => [f.offset, f.envelope.txn_id]), expected);
  }
}

async function sendMany(sidecar, room, count) {
  const answers = await Promise.all(Array.from({ length: count }, (_, i) => send(sidecar.url, stack.user(), message(room, `number ${i}`))));
  for (const answer of answers) assert.equal(answer.status, 200, answer.text);
}

test('committed messages arrive once and in order, and are settled', async () => {
  const sidecar = await start();
  const all = await rooms(5);
  await Promise.all(all.map((room) => sendMany(sidecar, room, 100)));
  await assertArrived(...all);
  await until('every message is settled', async () => Number((await status()).owed) === 0);
  const [first] = await target.frames(all[0]);
  const history = (await request(`${sidecar.url}/streams/${all[0]}/messages?after=0&limit=1`)).json;
  assert.deepEqual(first, history.messages[0], 'the frame is the same as in the history');
});

test('while the service is down messages are accepted and read over SSE, and arrive later', { timeout: 120_000 }, async () => {
  const sidecar = await start({ SEALCAST_DELIVERY_MAX_FRAMES: '1000' });
  const all = await rooms(3);
  await Promise.all(all.map((room) => sendMany(sidecar, room, 20)));
  await assertArrived(...all);
  await target.stop();
  const subscriber = await Subscriber.to(sidecar.url, all[0]);
  for (let i = 0; i < 10; i++) await Promise.all(all.map((room) => sendMany(sidecar, room, 60)));
  await subscriber.received(600);
  subscriber.close();
  assert.ok((await metric(sidecar, 'sealcast_delivery_queued')) <= 1000, 'memory is bounded');
  await until('delivery_status counts the unsettled messages', async () => Number((await status()).owed) >= 1800);
  await target.start();
  await assertArrived(...all);
  await until('every message is settled', async () => Number((await status()).owed) === 0, 30_000);
});

test('while the service is frozen publishes are retried, and no message arrives twice', { timeout: 120_000 }, async () => {
  const sidecar = await start({ SEALCAST_DELIVERY_TIMEOUT_MS: '300' });
  const room = await stack.stream();
  await sendMany(sidecar, room, 10);
  await assertArrived(room);
  target.signal('SIGSTOP');
  const subscriber = await Subscriber.to(sidecar.url, room);
  await sendMany(sidecar, room, 200);
  await subscriber.received(200);
  subscriber.close();
  await until('publishes are retried', async () => (await metric(sidecar, 'sealcast_delivery_retries_total')) >= 2);
  target.signal('SIGCONT');
  await assertArrived(room);
});

test('a stream that the service refuses lags alone, and catches up when it is accepted', { timeout: 120_000 }, async () => {
  const sidecar = await start();
  const [refused, ...others] = await rooms(4);
  await target.command('set', key(refused), 'something else');
  await sendMany(sidecar, refused, 50);
  await until('the stream lags', async () => Number((await status()).lagging_streams) === 1, 30_000);
  await Promise.all(others.map((room) => sendMany(sidecar, room, 50)));
  await assertArrived(...others);
  await until('the others are settled', async () => Number((await status()).owed) === 0);
  assert.equal(Number((await status()).owed_to_lagging), 50);
  const [{ reason }] = await stack.query('select reason from sealcast.delivery_lags where stream_id = $1', [refused]);
  assert.match(reason, /WRONGTYPE/);
  await sendMany(sidecar, refused, 30);
  await target.command('del', key(refused));
  await sendMany(sidecar, refused, 30);
  await assertArrived(refused);
  await until('the stream lags no longer', async () => Number((await status()).lagging_streams) === 0, 30_000);
  await sendMany(sidecar, refused, 30);
  await assertArrived(refused);
});

test('the delivery mode of a stream and the settings decide which transports carry it', { timeout: 120_000 }, async () => {
  const sidecar = await start({ SEALCAST_DELIVERY_STANDARD: 'redis_streams', SEALCAST_DELIVERY_HOT: 'sse,mqtt' });
  const [calm, moving] = await rooms(2);
  const mode = (value) => stack.query('update sealcast.streams set delivery_mode = $2 where stream_id = $1', [moving, value]);
  const count = async (room) => Number(await target.command('xlen', key(room)));
  let sent = 0;
  // Sends one message to each stream. Waits until the calm stream's has arrived and every message is settled.
  const step = async () => {
    await Promise.all([calm, moving].map((room) => sendMany(sidecar, room, 1)));
    sent++;
    await until('the calm stream is current', async () => (await count(calm)) === sent && Number((await status()).owed) === 0);
    return count(moving);
  };
  assert.equal(await step(), 1);
  await mode('hot');
  let last = 1;
  await until('the hot stream is left out', async () => {
    const before = last;
    return (last = await step()) === before;
  });
  assert.equal(await step(), last);
  await mode('standard');
  await until('the stream is carried again', async () => (await step()) > last);
  const frames = await target.frames(moving);
  assert.equal(frames.at(-1).offset, sent, 'the frames have the offsets of the stream');
  const history = (await request(`${sidecar.url}/streams/${moving}/messages?after=0&limit=500`)).json;
  assert.equal(history.messages.length, sent, 'the history has every message');
});

test('an undeliverable message becomes a dead letter, which can be replayed or dropped', { timeout: 120_000 }, async () => {
  const sidecar = await start({ SEALCAST_DELIVERY_GIVE_UP_MS: '1000' });
  const room = await stack.stream();
  await target.command('set', key(room), 'something else');
  await sendMany(sidecar, room, 3);
  const letters = () => stack.query('select * from sealcast.dead_letters where stream_id = $1 order by "offset"', [room]);
  await until('three dead letters', async () => (await letters()).length === 3, 60_000);
  const [letter] = await letters();
  assert.equal(letter.transport, 'redis_streams');
  assert.match(letter.reason, /WRONGTYPE/);
  assert.ok(letter.attempts >= 1);
  await target.command('del', key(room));
  await sendMany(sidecar, room, 1);
  await until('the next message is delivered', async () => Number(await target.command('xlen', key(room))) === 1, 60_000);

  assert.deepEqual(await stack.query('select sealcast.drop_dead_letters($1, $2, 2) as n', ['redis_streams', room]), [{ n: '1' }]);
  assert.deepEqual(await stack.query('select sealcast.replay_dead_letters(stream_id => $1) as n', [room]), [{ n: '2' }]);
  await until('the dead letters are delivered', async () => (await letters()).length === 0, 30_000);
  assert.deepEqual((await target.frames(room)).map((f) => f.offset), [4, 1, 3]);
});

test('when the sidecar is killed the next one delivers every message once', { timeout: 120_000 }, async () => {
  const first = await start();
  const room = await stack.stream();
  const second = await start({ SEALCAST_GATE_SOCKET: '' });
  const load = new Load(stack, room, [second.url]);
  await until('messages flow', () => load.acknowledged.size > 300);
  first.process.kill('SIGKILL');
  const before = load.acknowledged.size;
  await until('messages flow again', () => load.acknowledged.size > before + 300);
  await load.stop();
  await load.resend(second.url);
  await assertArrived(room);
});

test('when the sidecar is killed with unsettled messages the next one delivers them', { timeout: 120_000 }, async () => {
  const first = await start();
  const room = await stack.stream();
  await sendMany(first, room, 50);
  await assertArrived(room);
  await target.stop();
  await sendMany(first, room, 200);
  await until('delivery_status counts the unsettled messages', async () => Number((await status()).owed) >= 200);
  first.process.kill('SIGKILL');
  await first.exited;
  await target.start();
  const second = await start();
  await sendMany(second, room, 50);
  await assertArrived(room);
});

test('a service that never answers delays neither readers nor shutdown, and memory stays bounded', { timeout: 120_000 }, async () => {
  const sockets = [];
  const silent = net.createServer((socket) => sockets.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  try {
    const sidecar = await start({
      SEALCAST_REDIS_STREAMS_URL: `redis://127.0.0.1:${silent.address().port}`,
      SEALCAST_DELIVERY_TIMEOUT_MS: '500',
      SEALCAST_DELIVERY_MAX_FRAMES: '1000',
      SEALCAST_DRAIN_TIMEOUT_MS: '5000',
    });
    const room = await stack.stream();
    const subscriber = await Subscriber.to(sidecar.url, room);
    for (let i = 0; i < 10; i++) await sendMany(sidecar, room, 200);
    await subscriber.received(2000);
    subscriber.close();
    assert.ok((await metric(sidecar, 'sealcast_delivery_queued')) <= 1000);
    await sidecar.stop();
  } finally {
    for (const socket of sockets) socket.destroy();
    silent.close();
  }
});
