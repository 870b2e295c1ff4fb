// Reads the sidecar's frames from the stack's Mosquitto with the real MQTT.js, as a user who may only read.
// Migrates from one transport to another.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { freePort, sharedStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { closeAtEnd } from './close_at_end.mjs';
import { Proxy } from './proxy.mjs';
import { random } from './random.mjs';
import { QUICK, Reader } from './reader.mjs';
import { write, writeAsSystem } from './stream.mjs';

const { MQTT_URL: broker, MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD } = process.env;
const skip = broker ? false : 'MQTT_URL names no broker; run this file by tests/with_stack.sh';

let stack, httpProxy, mqttProxy;
before(async () => {
  if (skip) return;
  stack = await sharedStack();
  httpProxy = await Proxy.to(stack.url);
  const viewer = new URL(broker);
  [viewer.username, viewer.password] = [MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD];
  mqttProxy = await Proxy.to(viewer);
});
after(async () => {
  await httpProxy?.close();
  await mqttProxy?.close();
  await stack?.close();
});

// A topic that only tests publish to.
const OTHER_TOPIC = 'sealcast/other/{stream_id}';

async function publisher() {
  const client = await mqttjs.connectAsync(broker);
  closeAtEnd(() => client.end(true));
  return {
    publish: (topic, text) => client.publishAsync(topic, text, { qos: 1 }),
    close: () => client.endAsync(true),
  };
}

// Publishes a stream's frames to the other topic. A frame is left out when isLost() returns true.
async function bridge(streamId, isLost) {
  const { publish, close } = await publisher();
  const reader = new Reader(createClient({ url: stack.url }), streamId, { from: 0 }, async (frame) => {
    if (!isLost()) await publish(OTHER_TOPIC.replace('{stream_id}', streamId), JSON.stringify(frame));
  });
  await reader.ready();
  return { close: () => reader.close().then(close) };
}

// Makes an MQTT.js client for each connection, so that Sealcast's backoff applies.
const maker = (url = mqttProxy.url) => () => mqttjs.connect(url, { reconnectPeriod: 0, connectTimeout: 2000 });
// An MQTT.js client that belongs to the caller.
function callersClient(options) {
  const sdk = mqttjs.connect(mqttProxy.url, options);
  closeAtEnd(() => sdk.end(true));
  return sdk;
}
const clientOf = (client = maker(), topic = undefined) =>
  createClient({ url: httpProxy.url, transports: [sse(), mqtt({ client, topic })] });
const onMqtt = { transport: 'mqtt' };

test('a reader on MQTT alone begins with the next message, or with the first', { skip }, async () => {
  const room = await stack.stream();
  await write(stack, room, 3);
  const whole = new Reader(clientOf(), room, { ...onMqtt, from: 0 });
  await whole.reached(3);
  const next = new Reader(clientOf(), room, onMqtt);
  await next.ready();
  await write(stack, room, 2);
  for (const [reader, first] of [[next, 4], [whole, 1]]) {
    await reader.reached(5);
    reader.assertOffsets(first, 5);
    assert.equal(reader.subscription.transport, 'mqtt');
    await reader.close();
    assert.deepEqual(reader.errors, []);
  }
});

for (const [how, client] of [
  ['a client made for each connection', () => maker()],
  ["the caller's client", () => callersClient({ reconnectPeriod: 20 })],
]) {
  test(`with ${how}, a reader gets each frame once and in order over cut connections and lost frames`, { skip }, async () => {
    const room = await stack.stream();
    const dice = random(3);
    const lossy = await bridge(room, () => dice.chance(0.2));
    const reader = new Reader(clientOf(client(), OTHER_TOPIC), room, { ...onMqtt, quietMs: 100 });
    await reader.ready();
    let sent = 0;
    for (let cuts = 0; cuts < 15; cuts++) {
      const before = mqttProxy.spent;
      mqttProxy.cutAfter(1 + dice.below(3000));
      await until('the connection is cut', async () => {
        await write(stack, room, 10);
        sent += 10;
        return mqttProxy.spent > before;
      });
    }
    await reader.reached(sent);
    reader.assertOffsets(1, sent);
    await reader.close();
    await lossy.close();
  });
}

test('a reader that reconnects reads the messages it has missed, without a further frame', { skip }, async () => {
  const room = await stack.stream();
  const direct = new URL(mqttProxy.url);
  direct.port = new URL(broker).port;
  const present = new Reader(clientOf(maker(direct.href)), room, onMqtt);
  const reader = new Reader(clientOf(), room, { ...onMqtt, quietMs: 0 });
  for (const each of [present, reader]) await each.ready();
  mqttProxy.refuse();
  await reader.until('the reader has lost its connection', () => reader.subscription.status === 'reconnecting');
  await write(stack, room, 3);
  await present.reached(3);
  mqttProxy.refuse(false);
  await reader.reached(3);
  reader.assertOffsets(1, 3);
  for (const each of [present, reader]) await each.close();
});

test('a lost last frame is found after quietMs', { skip }, async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(maker(), OTHER_TOPIC), room, { ...onMqtt, quietMs: 50 });
  await reader.ready();
  await write(stack, room, 1);
  await reader.reached(1);
  await reader.close();
});

test('a lost connection leaves no listener behind', { skip }, async () => {
  const reader = new Reader(clientOf(), await stack.stream(), onMqtt);
  const lives = () => reader.statuses.filter((status) => status === 'live').length;
  for (let cuts = 0; cuts < 12; cuts++) {
    await reader.until('it is live', () => lives() === cuts + 1);
    mqttProxy.cut();
  }
  await reader.until('it is live', () => lives() === 13);
  await reader.close();
});

test('readers share a client, and a reader that leaves does not unsubscribe the others', { skip }, async () => {
  const [room, other] = [await stack.stream(), await stack.stream()];
  const sdk = callersClient();
  const [stays, leaves, elsewhere] = [room, room, other].map((id) => new Reader(clientOf(sdk), id, onMqtt));
  for (const reader of [stays, leaves, elsewhere]) await reader.ready();
  await write(stack, room, 1);
  await leaves.reached(1);
  await leaves.close();
  await write(stack, room, 1);
  await stays.reached(2);
  stays.assertOffsets(1, 2);
  assert.deepEqual(elsewhere.frames, []);
  await stays.close();

  const topics = [];
  sdk.on('message', (topic) => topics.push(topic));
  const end = OTHER_TOPIC.replace('{stream_id}', room);
  await sdk.subscribeAsync(end);
  const { publish, close } = await publisher();
  for (const topic of [`sealcast/${room}`, end]) await publish(topic, '{}');
  await until('the last message has arrived', () => topics.includes(end));
  await close();
  assert.deepEqual(topics, [end], 'the last reader that leaves unsubscribes');
  assert.ok(sdk.connected, "the caller's client stays connected");

  const again = new Reader(clientOf(sdk), room, onMqtt);
  await again.ready();
  await write(stack, room, 1);
  await again.reached(3);
  again.assertOffsets(3, 3);
  await again.close();
  await elsewhere.close();
});

test('a reader passes messages that are gone, in the history and on the topic', { skip }, async () => {
  const room = await stack.stream();
  const erase = (n) => stack.query("delete from sealcast.messages where stream_id = $1 and d::json ->> 'content' = $2", [room, n]);
  await write(stack, room, 4);
  const [whole, gone] = [new Reader(clientOf(), room, { from: 0 }), []];
  await whole.reached(4);
  await whole.close();
  for (const n of ['n 2', 'n 4']) await erase(n);
  const reader = new Reader(clientOf(maker(), OTHER_TOPIC), room, { ...onMqtt, from: 0, onGone: ({ offset }) => gone.push(offset) });
  await reader.ready();
  await until('the history is read', () => reader.subscription.offset === 4);
  assert.deepEqual([reader.offsets, gone], [[1, 3], [2, 4]]);

  const { publish, close } = await publisher();
  const topic = OTHER_TOPIC.replace('{stream_id}', room);
  await publish(topic, '{"offset":5,"prev":4,"gone":true}');
  await until('the gone frame has come', () => reader.subscription.offset === 5);
  const [{ envelope }] = whole.frames;
  await publish(topic, JSON.stringify({ offset: 6, prev: 5, envelope }));
  await reader.reached(6);
  assert.deepEqual([reader.offsets, gone, reader.errors], [[1, 3, 6], [2, 4, 5], []]);
  assert.equal(reader.subscription.status, 'live');
  await close();
  await reader.close();
});

test('an MqttClient has one listener per event for 14 streams, and none when they are closed', { skip }, async () => {
  const sdk = callersClient();
  const events = ['message', 'connect', 'error', 'close', 'end'];
  const listeners = () => events.map((event) => sdk.listenerCount(event));
  const own = listeners(); // of MQTT.js itself
  const rooms = await Promise.all(Array.from({ length: 14 }, () => stack.stream()));
  const readers = rooms.map((room) => new Reader(clientOf(sdk), room, onMqtt));
  for (const reader of readers) await reader.ready();
  assert.deepEqual(listeners(), own.map((count) => count + 1));
  for (const room of rooms) await write(stack, room, 2);
  for (const reader of readers) await reader.reached(2);
  for (const reader of readers) reader.assertOffsets(1, 2);
  mqttProxy.cut();
  for (const room of rooms) await write(stack, room, 1);
  for (const reader of readers) await reader.reached(3);
  for (const reader of readers) await reader.close();
  assert.deepEqual(listeners(), own);
});

test('bad frames on the topic are reported and skipped', { skip }, async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room, onMqtt);
  await reader.ready();
  const { publish, close } = await publisher();
  const envelope = {};
  const incomplete = [null, [], { offset: 1 }, { offset: 1, prev: 1, envelope }, { offset: '1', prev: 0, envelope }];
  for (const bad of ['{', ...incomplete.map((value) => JSON.stringify(value))]) {
    await publish(`sealcast/${room}`, bad);
  }
  await close();
  await write(stack, room, 1);
  await reader.reached(1);
  assert.deepEqual(reader.errors.map(({ code }) => code), Array(6).fill('bad_frame'));
  await reader.close();
});

test('a reader that migrates to MQTT and back gets each frame once and in order', { skip }, async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room);
  await reader.ready();
  const moved = (to) => () => reader.notes.some(([name, now]) => name === 'transport' && now === to);
  let sent = 0;
  const writeUntil = async (what, condition) => {
    await until(what, async () => {
      await write(stack, room, 7);
      sent += 7;
      return condition();
    });
  };
  await writeUntil('the first frame', () => reader.frames.length > 0);
  await writeAsSystem(stack, room, 'transport_migrate', { target: 'mqtt', overlap_ms: 300 });
  sent++;
  await writeUntil('the reader is on MQTT', moved('mqtt'));
  assert.equal(reader.subscription.transport, 'mqtt');
  httpProxy.cut(); // the old transport must not be needed any more
  await writeUntil('more', () => reader.subscription.offset > sent - 50);
  await writeAsSystem(stack, room, 'transport_migrate', { target: 'sse', overlap_ms: 300 });
  sent++;
  await writeUntil('the reader is on SSE again', moved('sse'));
  mqttProxy.cut();
  await writeUntil('more', () => reader.subscription.offset > sent - 50);
  await reader.reached(sent);
  reader.assertOffsets(1, sent);
  assert.deepEqual(
    reader.notes.filter(([name]) => name === 'transport'),
    [['transport', 'mqtt', 'sse'], ['transport', 'sse', 'mqtt']],
  );
  const events = reader.frames.filter(({ envelope }) => envelope.t === 'transport_migrate');
  assert.equal(events.length, 2, 'the handler gets the transport_migrate messages too');
  assert.deepEqual(reader.errors, []);
  await reader.close();
});

test('the old transport is read until the end of the overlap, and then closed', { skip }, async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(maker(), OTHER_TOPIC), room, { patienceMs: 60_000 });
  await reader.ready();
  const eventStreams = async () => {
    const metrics = await (await fetch(`${stack.url}/metrics`)).text();
    return Number(/^sealcast_sse_subscribers (\d+)$/m.exec(metrics)[1]);
  };
  const streams = await eventStreams();
  const moving = reader.subscription.migrate('mqtt', { overlapMs: 500 });
  const before = mqttProxy.answered;
  await until('MQTT is connected', () => mqttProxy.answered > before);
  await write(stack, room, 3); // on SSE alone
  await reader.reached(3);
  assert.equal(reader.subscription.transport, 'sse');
  await moving;
  assert.equal(reader.subscription.transport, 'mqtt');
  await until('the old event stream is closed', async () => (await eventStreams()) < streams);
  reader.assertOffsets(1, 3);
  await reader.close();
});

test('a reader keeps its transport and reports the error when the target cannot connect, or is lost', { skip }, async () => {
  const room = await stack.stream();
  const unreachable = maker(`mqtt://127.0.0.1:${await freePort()}`);
  const stays = new Reader(clientOf(unreachable), room, { migrateTimeoutMs: 300 });
  await stays.ready();
  await assert.rejects(stays.subscription.migrate('mqtt'), { code: 'migration_failed' });
  await writeAsSystem(stack, room, 'transport_migrate', { target: 'mqtt' });
  await stays.until('the failure is reported', () => stays.errors.some(({ code }) => code === 'migration_failed'));

  const other = await stack.stream(); // its state names no transport
  const cut = new Reader(clientOf(), other);
  await cut.ready();
  const before = mqttProxy.answered;
  const moving = cut.subscription.migrate('mqtt', { overlapMs: 60_000 });
  moving.catch(() => {});
  await until('MQTT is subscribed', () => mqttProxy.answered >= before + 9); // CONNACK and SUBACK
  mqttProxy.cut();
  await assert.rejects(moving, { code: 'migration_failed' });
  for (const each of [room, other]) await write(stack, each, 2);
  for (const [reader, last] of [[stays, 3], [cut, 2]]) {
    await reader.reached(last);
    reader.assertOffsets(1, last);
    assert.equal(reader.subscription.transport, 'sse');
    assert.equal(reader.subscription.status, 'live');
    await reader.close();
  }
});

test('a later migration replaces an earlier one, and a migration to the transport in use does nothing', { skip }, async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room);
  await reader.ready();
  const first = reader.subscription.migrate('mqtt', { overlapMs: 60_000 });
  const second = reader.subscription.migrate('sse');
  await assert.rejects(first, { code: 'migration_superseded' });
  await second;
  const third = reader.subscription.migrate('mqtt', { overlapMs: 60_000 });
  third.catch(() => {});
  await reader.close();
  await assert.rejects(third, { code: 'closed' });
  assert.deepEqual(reader.notes.filter(([name]) => name === 'transport'), []);
});
