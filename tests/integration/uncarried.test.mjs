// Sidecars of one database with different transports: the sidecar with the most transports leads all shards. A transport that no
// leader has is named in the log, the metrics, /readyz and the views.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { Broker } from './broker.mjs';
import { message, request, send } from './http.mjs';
import { Load } from './load.mjs';
import { RedisTarget } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const SHARDS = [0, 1, 2, 3];
// The plain sidecar has no transport to an outside service. Only one sidecar may have the gate's socket.
const plain = { SEALCAST_GATE_SOCKET: '' };

let stack, broker, redis, mqtt, rooms, busy;
const sidecars = [];
before(async () => {
  stack = await PrivateStack.create();
  broker = await Broker.start(stack);
  redis = await RedisTarget.start(stack);
  mqtt = { ...plain, SEALCAST_MQTT_URL: broker.url };
  // The last two bits of a stream's id are its shard.
  rooms = SHARDS.map((shard) => `${randomUUID().slice(0, -1)}${shard}`);
  await stack.query('insert into sealcast.streams (stream_id) select unnest($1::uuid[])', [rooms]);
  busy = await stack.stream();
  await broker.read([...rooms, busy]);
});
afterEach(async () => {
  for (const sidecar of sidecars.splice(0)) if (sidecar.running) await sidecar.stop();
  await stack.query('select sealcast.forget_transport(transport) from sealcast.delivery_status');
});
after(async () => {
  broker?.subscriber.kill();
  await stack?.close();
});

async function start(settings) {
  const sidecar = await stack.sidecar(settings);
  sidecars.push(sidecar);
  return sidecar;
}

const leaders = async () =>
  (await stack.query('select distinct holder from sealcast_internal.relay_leases where lease_until > clock_timestamp()')).map((r) => r.holder);
const untilLeads = (sidecar) => until(`${sidecar.holder} leads every shard`, async () => (await leaders()).join() === sidecar.holder);
const untilBegun = (transport) =>
  until(`${transport} has begun`, async () => (await stack.query('select from sealcast.deliveries where transport = $1', [transport])).length === SHARDS.length);

async function sendToAll(sidecar, content) {
  for (const room of rooms) {
    const { status, text } = await send(sidecar.url, stack.user(), message(room, content));
    assert.equal(status, 200, text);
  }
}

const owedToMqtt = async () => (await stack.query("select owed, uncarried_shards from sealcast.delivery_status where transport = 'mqtt'"))[0];
const contents = (room) => broker.frames.get(room).map(({ envelope }) => envelope.d.content);
const untilAtBroker = (content) => until(`the broker has '${content}' of every shard`, () => rooms.every((room) => contents(room).includes(content)), 30_000);

// What the sidecar says about a transport that is not carried.
async function said(sidecar, transport) {
  const { text } = await request(`${sidecar.url}/metrics`);
  const { status, json } = await request(`${sidecar.url}/readyz`);
  const [row] = await stack.query("select value, ok, detail from sealcast.health where name = 'delivery_uncarried_shards' and subject = $1", [transport]);
  return {
    shards: Number(new RegExp(`^sealcast_delivery_uncarried_shards\\{transport="${transport}"\\} (\\S+)$`, 'm').exec(text)?.[1] ?? 0),
    check: json.checks.transports,
    ready: status,
    health: row,
    errors: sidecar.log.filter((line) => line.includes('no sidecar delivers to a transport')).map((line) => JSON.parse(line)),
  };
}

test('a sidecar without MQTT gives its shards to one that has it, and every message reaches the broker', { timeout: 120_000 }, async () => {
  const without = await start(plain);
  await untilLeads(without);
  await sendToAll(without, 'before MQTT');
  const having = await start(mqtt);
  await untilLeads(having);
  await untilBegun('mqtt');
  await sendToAll(without, 'after the change');
  await untilAtBroker('after the change');
  const late = await start(plain);
  await sendToAll(late, 'from a sidecar that started later');
  await untilAtBroker('from a sidecar that started later');
  assert.deepEqual(await leaders(), [having.holder]);
  for (const sidecar of [without, late, having]) {
    const { shards, check, ready, errors } = await said(sidecar, 'mqtt');
    assert.deepEqual({ shards, check, ready, errors }, { shards: 0, check: 'ok', ready: 200, errors: [] });
  }
});

test('a rolling deployment that adds MQTT carries every message from the first one on', { timeout: 180_000 }, async () => {
  const old = [await start(plain), await start(plain)];
  const urls = old.map(({ url }) => url);
  const load = new Load(stack, busy, urls, { workers: 8 });
  const flowed = (count) => until('messages flow', () => load.acknowledged.size > count, 30_000);
  await flowed(100);
  for (const [i, before] of old.entries()) {
    const fresh = await start(mqtt);
    await untilBegun('mqtt');
    urls[i] = fresh.url;
    await before.stop();
    await flowed(load.acknowledged.size + 200);
  }
  const [leader, other] = sidecars.slice(-2);
  leader.process.kill('SIGKILL');
  await leader.exited;
  urls.fill(other.url);
  await flowed(load.acknowledged.size + 200);
  await load.stop();
  await load.resend(other.url);
  const count = (await stack.stored(busy)).length;
  const offsets = () => [...new Set(broker.frames.get(busy).map(({ offset }) => offset))];
  await until('the last message has arrived', () => offsets().at(-1) === count, 60_000);
  const [first] = offsets();
  assert.deepEqual(offsets(), Array.from({ length: count - first + 1 }, (_, i) => first + i), 'no message is missing');
});

test('when only sidecars without MQTT are left, they say so, and the next sidecar with MQTT delivers the owed messages', { timeout: 120_000 }, async () => {
  const having = await start(mqtt);
  await untilBegun('mqtt');
  const without = await start(plain);
  await sendToAll(without, 'delivered');
  await untilAtBroker('delivered');
  await until('the delivery is recorded', async () => (await owedToMqtt()).owed === '0');
  having.process.kill('SIGKILL');
  await having.exited;
  await untilLeads(without);
  await sendToAll(without, 'owed');
  await until('the sidecar says it', async () => (await said(without, 'mqtt')).shards === SHARDS.length, 30_000);
  const { check, ready, health, errors } = await said(without, 'mqtt');
  assert.equal(check, 'no sidecar delivers to mqtt (shards 0, 1, 2, 3)');
  assert.equal(ready, 200, 'messages are accepted, so the sidecar is ready');
  assert.deepEqual([health.value, health.ok], ['4', false]);
  assert.match(health.detail, /no sidecar delivers the shards 0, 1, 2, 3/);
  assert.deepEqual(errors.map(({ level, transport, shards }) => ({ level, transport, shards })), [{ level: 'error', transport: 'mqtt', shards: '0, 1, 2, 3' }]);
  assert.deepEqual(await owedToMqtt(), { owed: `${rooms.length}`, uncarried_shards: SHARDS });

  const again = await start(mqtt);
  await untilAtBroker('owed');
  for (const sidecar of [without, again]) {
    await until('the report has ended', async () => {
      const now = await said(sidecar, 'mqtt');
      return now.shards === 0 && now.check === 'ok' && now.health.ok;
    });
  }
  await until('the log says it', () => without.log.some((line) => line.includes('sidecars deliver to all transports again')));
});

test('an operator who removes a transport says so with forget_transport()', { timeout: 120_000 }, async () => {
  const having = await start(mqtt);
  await untilBegun('mqtt');
  await having.stop();
  const without = await start(plain);
  await until('the sidecar says it', async () => (await said(without, 'mqtt')).shards === SHARDS.length, 30_000);
  await stack.query("set role sealcast_admin; select sealcast.forget_transport('mqtt'); reset role");
  await until('the transport is forgotten', async () => (await said(without, 'mqtt')).check === 'ok');
  const { shards, ready, health } = await said(without, 'mqtt');
  assert.deepEqual({ shards, ready, health }, { shards: 0, ready: 200, health: undefined });
});

test('other transports: a leader is missed for the transport that it lacks only', { timeout: 120_000 }, async () => {
  const streams = { ...plain, SEALCAST_REDIS_STREAMS_URL: redis.url };
  const first = await start(mqtt);
  await untilBegun('mqtt');
  const second = await start(streams);
  await until('the second sidecar says it', async () => (await said(second, 'redis_streams')).shards === SHARDS.length, 30_000);
  assert.deepEqual(await leaders(), [first.holder], 'a sidecar with as many transports does not take the lead');
  await until('the leader says it', async () => (await said(first, 'redis_streams')).check === 'no sidecar delivers to redis_streams (shards 0, 1, 2, 3)');
  const both = await start({ ...mqtt, ...streams });
  await untilLeads(both);
  await untilBegun('redis_streams');
  await sendToAll(first, 'to both');
  await untilAtBroker('to both');
  await until('Redis has the messages', async () => (await Promise.all(rooms.map((room) => redis.frames(room)))).every((all) => all.at(-1)?.envelope.d.content === 'to both'));
  for (const sidecar of [first, second, both]) await until('nothing is uncarried', async () => (await said(sidecar, 'redis_streams')).check === 'ok');
});
