// The transport mqtt with a RabbitMQ: order, properties, topic aliases, a killed broker, a wrong password.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { Reader } from '../client/reader.mjs';
import { write } from '../client/stream.mjs';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { RabbitMq } from './rabbitmq.mjs';

const EXPIRY = 600;
const ALIASES = 16; // the Topic Alias Maximum of RabbitMQ

let stack, broker, sidecar, settings;
const clients = [];
before(async () => {
  [stack, broker] = await Promise.all([PrivateStack.create(), RabbitMq.start()]);
  settings = {
    SEALCAST_MQTT_URL: `mqtt://${broker.user}@127.0.0.1:${broker.port}`,
    SEALCAST_MQTT_PASSWORD_FILE: password('right', broker.password),
    SEALCAST_MQTT_EXPIRY_S: `${EXPIRY}`,
  };
  sidecar = await stack.sidecar(settings);
  await until('the transport has begun', async () => (await status()) !== undefined);
});
after(async () => {
  for (const client of clients) client.end(true);
  await stack?.close();
  await broker?.close();
});

function password(name, text) {
  const file = join(stack.directory, name);
  writeFileSync(file, text, { mode: 0o644 });
  return file;
}

const status = async () => (await stack.query("select * from sealcast.delivery_status where transport = 'mqtt'"))[0];
const untilDelivered = () => until('all messages are delivered', async () => (await status()).owed === '0', 60_000);
const rooms = (count) => Promise.all(Array.from({ length: count }, () => stack.stream()));
const connect = (options) => {
  const client = mqttjs.connect(broker.url, { username: broker.user, password: broker.password, protocolVersion: 5, ...options });
  client.on('error', () => {});
  clients.push(client);
  return client;
};

// Subscribes to the streams, also after a lost connection. The session outlives the connection. `frames` has the frames of each
// stream, with the properties of their MQTT messages.
async function subscribe(ids) {
  const client = connect({ clientId: `reader-${ids[0]}`, clean: false, reconnectPeriod: 100, properties: { sessionExpiryInterval: EXPIRY } });
  const frames = new Map(ids.map((id) => [id, []]));
  client.on('message', (topic, payload, { properties }) => {
    frames.get(topic.slice('sealcast/'.length)).push({ ...JSON.parse(payload), properties });
  });
  await client.subscribeAsync(ids.map((id) => `sealcast/${id}`), { qos: 1 });
  return { frames, offsets: (id) => frames.get(id).map(({ offset }) => offset) };
}

const numbers = (count) => Array.from({ length: count }, (_, i) => i + 1);
// After a failure, frames may come twice. Each frame's first arrival is in order.
const firstArrivals = (offsets) => [...new Set(offsets)];

test('frames arrive once and in order with their properties, also on more topics than there are aliases', async () => {
  const ids = await rooms(ALIASES + 4);
  const reader = await subscribe(ids);
  for (let round = 0; round < 3; round++) {
    for (const id of ids) await write(stack, id, 5);
  }
  await until('everything has arrived', () => ids.every((id) => reader.offsets(id).length >= 15), 60_000);
  for (const id of ids) {
    assert.deepEqual(reader.offsets(id), numbers(15));
    for (const { offset, prev, envelope, properties } of reader.frames.get(id)) {
      assert.deepEqual({ ...properties.userProperties }, { offset: `${offset}`, prev: `${prev}`, kid: envelope.kid });
      assert.equal(properties.contentType, 'application/json');
      assert.equal(properties.payloadFormatIndicator, true);
      assert.ok(properties.messageExpiryInterval > EXPIRY - 60 && properties.messageExpiryInterval <= EXPIRY);
    }
  }
  assert.equal(sidecar.log.filter((line) => line.includes('the MQTT broker is unavailable')).length, 0, 'one connection');
});

test('a stream without subscribers is delivered', async () => {
  const [id] = await rooms(1);
  await write(stack, id, 3);
  await untilDelivered();
  assert.deepEqual(await stack.query('select * from sealcast.dead_letters where stream_id = $1', [id]), []);
});

test('a killed broker loses no frame of a session that is kept, and readers of the client library have no gap', { timeout: 240_000 }, async () => {
  const ids = await rooms(3);
  const session = await subscribe(ids);
  const make = () => connect({ reconnectPeriod: 0, connectTimeout: 2000 });
  const reader = new Reader(createClient({ url: sidecar.url, transports: [sse(), mqtt({ client: make })] }), ids[0], { transport: 'mqtt' });
  await reader.ready();
  for (const id of ids) await write(stack, id, 20);
  await until('the first frames have arrived', () => session.offsets(ids[0]).length > 0);
  await broker.kill();
  for (const id of ids) await write(stack, id, 20);
  await until('the sidecar has noticed', () => sidecar.log.some((line) => line.includes('the MQTT broker is unavailable')));
  await broker.start();
  for (const id of ids) await write(stack, id, 20);
  await untilDelivered();
  await until('everything has arrived', () => ids.every((id) => firstArrivals(session.offsets(id)).length === 60), 60_000);
  for (const id of ids) assert.deepEqual(firstArrivals(session.offsets(id)), numbers(60));
  await reader.reached(60);
  reader.assertOffsets(1, 60);
  await reader.close();
});

test('a wrong password is reported, and the sidecar connects when the file has the right one', async () => {
  await sidecar.stop();
  const file = password('wrong', 'wrong');
  sidecar = await stack.sidecar({ ...settings, SEALCAST_MQTT_PASSWORD_FILE: file });
  await until('the log has the reason', () => sidecar.log.some((line) => line.includes('the broker refused the connection: Bad user name or password')));
  password('wrong', broker.password);
  const [id] = await rooms(1);
  const reader = await subscribe([id]);
  await write(stack, id, 1);
  await until('the frame has arrived', () => reader.offsets(id).length === 1, 60_000);
});
