// The broker of a hot stream goes down. Its readers read the history meanwhile, and so also learn that an operator has moved
// the stream back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { Broker } from '../integration/broker.mjs';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { closeAtEnd } from './close_at_end.mjs';
import { Reader } from './reader.mjs';
import { write } from './stream.mjs';

let stack, broker, url;
before(async () => {
  stack = await PrivateStack.create();
  broker = await Broker.start(stack);
  ({ url } = await stack.sidecar({
    SEALCAST_MQTT_URL: broker.url,
    SEALCAST_DELIVERY_STANDARD: 'sse,mqtt',
    SEALCAST_DELIVERY_HYBRID: 'sse,mqtt',
    SEALCAST_DELIVERY_HOT: 'mqtt',
    SEALCAST_SWITCHING_TARGET: 'mqtt',
    SEALCAST_SWITCHING_WINDOW_MS: '1000',
    SEALCAST_SWITCHING_OVERLAP_MS: '200',
    SEALCAST_DELIVERY_TIMEOUT_MS: '2000',
  }));
});
after(() => stack?.close());

const set = (room, mode) => stack.query('select sealcast.set_delivery_mode($1, $2)', [room, mode]);
const stepOf = async (room) => (await stack.query('select step from sealcast.switching where stream_id = $1', [room]))[0]?.step;
const contents = (reader) => reader.frames.map(({ envelope }) => envelope.d.content).filter(Boolean);

// The library does not end a client that the application connected.
function connected() {
  const client = mqttjs.connect(broker.url, { reconnectPeriod: 100 });
  closeAtEnd(() => client.endAsync(true));
  return client;
}

for (const [what, connect] of [
  ['that the library connects', () => () => mqttjs.connect(broker.url, { reconnectPeriod: 0 })],
  ['that reconnects by itself', connected],
]) {
  test(`the broker of a hot stream goes down: readers with a client ${what} read the history, and follow the runbook`, { timeout: 180_000 }, async () => {
    const room = await stack.stream();
    const reader = new Reader(createClient({ url, transports: [sse(), mqtt({ client: connect() })] }), room);
    await reader.ready();
    await set(room, 'hot');
    await until('the stream is hot', async () => (await stepOf(room)) === 'hot', 30_000);
    await reader.until('the reader is on MQTT', () => reader.subscription.transport === 'mqtt');
    await write(stack, room, 3, 'before');
    await reader.until('the messages before', () => contents(reader).length === 3);

    await broker.stop('SIGKILL');
    await write(stack, room, 10, 'meanwhile');
    await reader.until('the messages meanwhile', () => contents(reader).length === 13);
    await set(room, 'standard');
    await reader.until('the reader is on SSE', () => reader.subscription.transport === 'sse' && reader.subscription.status === 'live');
    await write(stack, room, 2, 'later');
    await reader.until('the messages later', () => contents(reader).length === 15);
    assert.deepEqual(reader.offsets, reader.offsets.map((_, i) => reader.offsets[0] + i), 'each message once, in order');
    await reader.close();
    await broker.start();
    await stack.query('delete from sealcast.streams where stream_id = $1', [room]);
  });
}
