// Reading over MQTT by the real MQTT.js what the sidecar publishes at the stack's Mosquitto, as a user who may only
// read, and going over from one transport to another.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { freePort, sharedStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { closeAtEnd } from './leftovers.mjs';
import { Proxy } from './proxy.mjs';
import { random } from './random.mjs';
import { QUICK, Reader } from './reader.mjs';
import { tell, write } from './stream.mjs';

const { MQTT_URL: broker, MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD } = process.env;
const skip = broker ? false : 'MQTT_URL names no broker: run me by tests/with_stack.sh';

let stack, http, wire;
before(async () => {
  if (skip) return;
  stack = await sharedStack();
  http = await Proxy.to(stack.url);
  const viewer = new URL(broker);
  [viewer.username, viewer.password] = [MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD];
  wire = await Proxy.to(viewer);
});
after(async () => {
  await http?.close();
  await wire?.close();
  await stack?.close();
});

// A topic that the sidecar does not publish to. What stands there is a test's.
const OTHER_TOPIC = 'sealcast/other/{stream_id}';

async function publisher() {
  const client = await mqttjs.connectAsync(broker);
  closeAtEnd(() => client.end(true));
  return {
    publish: (topic, text) => client.publishAsync(topic, text, { qos: 1 }),
    close: () => client.endAsync(true),
  };
}

// Publishes a stream's frames at the other topic, except those that `swallow` says get lost.
async function bridge(streamId, swallow) {
  const { publish, close } = await publisher();
  const reader = new Reader(createClient({ url: stack.url }), streamId, { from: 0 }, async (frame) => {
    if (!swallow()) await publish(OTHER_TOPIC.replace('{stream_id}', streamId), JSON.stringify(frame));
  });
  await reader.ready();
  return { close: () => reader.close().then(close) };
}

// A client of MQTT.js for each connection, so that the backoff is Sealcast's.
const maker = (url = wire.url) => () => mqttjs.connect(url, { reconnectPeriod: 0, connectTimeout: 2000 });
// A client that the caller keeps.
function callers(options) {
  const sdk = mqttjs.connect(wire.url, options);
  closeAtEnd(() => sdk.end(true));
  return sdk;
}
const clientOf = (client = maker(), topic = undefined) =>
  createClient({ url: http.url, transports: [sse(), mqtt({ client, topic })] });
const onMqtt = { transport: 'mqtt' };

test('a reader on MQTT alone: from what comes next, and from the beginning', { skip }, async () => {
  const room = await stack.stream();
  await write(stack, room, 3);
  const whole = new Reader(clientOf(), room, { ...onMqtt, from: 0 });
  await whole.reached(3);
  const next = new Reader(clientOf(), room, onMqtt);
  await next.ready();
  await write(stack, room, 2);
  for (const [reader, first] of [[next, 4], [whole, 1]]) {
    await reader.reached(5);
    reader.isWhole(first, 5);
    assert.equal(reader.subscription.transport, 'mqtt');
    await reader.close();
    assert.deepEqual(reader.errors, []);
  }
});

for (const [how, client] of [
  ['a client made for each connection', () => maker()],
  ['a client of the caller\'s', () => callers({ reconnectPeriod: 20 })],
]) {
  test(`cut connections and lost frames, with ${how}: no gap, no repeat, no swap`, { skip }, async () => {
    const room = await stack.stream();
    const dice = random(3);
    const lossy = await bridge(room, () => dice.chance(0.2));
    const reader = new Reader(clientOf(client(), OTHER_TOPIC), room, { ...onMqtt, quietMs: 100 });
    await reader.ready();
    let sent = 0;
    for (let cuts = 0; cuts < 15; cuts++) {
      const before = wire.spent;
      wire.cutAfter(1 + dice.below(3000));
      await until('the connection is cut', async () => {
        await write(stack, room, 10);
        sent += 10;
        return wire.spent > before;
      });
    }
    await reader.reached(sent);
    reader.isWhole(1, sent);
    await reader.close();
    await lossy.close();
  });
}

test('what was sent while the reader was away is read when it is back, without a further frame', { skip }, async () => {
  const room = await stack.stream();
  const direct = new URL(wire.url);
  direct.port = new URL(broker).port;
  const present = new Reader(clientOf(maker(direct.href)), room, onMqtt);
  const reader = new Reader(clientOf(), room, { ...onMqtt, quietMs: 0 });
  for (const one of [present, reader]) await one.ready();
  wire.refuse();
  await reader.until('it is away', () => reader.subscription.status === 'reconnecting');
  await write(stack, room, 3);
  await present.reached(3);
  wire.refuse(false);
  await reader.reached(3);
  reader.isWhole(1, 3);
  for (const one of [present, reader]) await one.close();
});

test('a frame that was lost and is the last one is found after a silence', { skip }, async () => {
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
    wire.cut();
  }
  await reader.until('it is live', () => lives() === 13);
  await reader.close();
});

test('readers share a client: each has its stream, and who leaves takes no topic from others', { skip }, async () => {
  const [room, other] = [await stack.stream(), await stack.stream()];
  const sdk = callers();
  const [stays, leaves, elsewhere] = [room, room, other].map((id) => new Reader(clientOf(sdk), id, onMqtt));
  for (const reader of [stays, leaves, elsewhere]) await reader.ready();
  await write(stack, room, 1);
  await leaves.reached(1);
  await leaves.close();
  await write(stack, room, 1);
  await stays.reached(2);
  stays.isWhole(1, 2);
  assert.deepEqual(elsewhere.frames, []);
  await stays.close();

  const heard = [];
  sdk.on('message', (topic) => heard.push(topic));
  const end = OTHER_TOPIC.replace('{stream_id}', room);
  await sdk.subscribeAsync(end);
  const { publish, close } = await publisher();
  for (const topic of [`sealcast/${room}`, end]) await publish(topic, '{}');
  await until('the end is heard', () => heard.includes(end));
  await close();
  assert.deepEqual(heard, [end], 'the last one who leaves unsubscribes');
  assert.ok(sdk.connected, "the caller's client is left to the caller");

  const again = new Reader(clientOf(sdk), room, onMqtt);
  await again.ready();
  await write(stack, room, 1);
  await again.reached(3);
  again.isWhole(3, 3);
  await again.close();
  await elsewhere.close();
});

test('bad frames on the topic are told of and do no harm', { skip }, async () => {
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

test('transport_migrate: over to MQTT and back while messages flow, without gap, repeat or swap', { skip }, async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room);
  await reader.ready();
  const moved = (to) => () => reader.notes.some(([name, now]) => name === 'transport' && now === to);
  let sent = 0;
  const flowUntil = async (what, condition) => {
    await until(what, async () => {
      await write(stack, room, 7);
      sent += 7;
      return condition();
    });
  };
  await flowUntil('a beginning', () => reader.frames.length > 0);
  await tell(stack, room, 'transport_migrate', { target: 'mqtt', overlap_ms: 300 });
  sent++;
  await flowUntil('the reader is on MQTT', moved('mqtt'));
  assert.equal(reader.subscription.transport, 'mqtt');
  http.cut(); // the old one is not needed any more
  await flowUntil('more', () => reader.subscription.offset > sent - 50);
  await tell(stack, room, 'transport_migrate', { target: 'sse', overlap_ms: 300 });
  sent++;
  await flowUntil('the reader is on SSE again', moved('sse'));
  wire.cut();
  await flowUntil('more', () => reader.subscription.offset > sent - 50);
  await reader.reached(sent);
  reader.isWhole(1, sent);
  assert.deepEqual(
    reader.notes.filter(([name]) => name === 'transport'),
    [['transport', 'mqtt', 'sse'], ['transport', 'sse', 'mqtt']],
  );
  const events = reader.frames.filter(({ envelope }) => envelope.t === 'transport_migrate');
  assert.equal(events.length, 2, 'the handler sees them');
  assert.deepEqual(reader.errors, []);
  await reader.close();
});

test('the old transport is read until the overlap is over, and closed then', { skip }, async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(maker(), OTHER_TOPIC), room, { patienceMs: 60_000 });
  await reader.ready();
  const eventStreams = async () => {
    const metrics = await (await fetch(`${stack.url}/metrics`)).text();
    return Number(/^sealcast_sse_subscribers (\d+)$/m.exec(metrics)[1]);
  };
  const streams = await eventStreams();
  const moving = reader.subscription.migrate('mqtt', { overlapMs: 500 });
  const before = wire.answered;
  await until('MQTT is connected', () => wire.answered > before);
  await write(stack, room, 3); // on SSE alone
  await reader.reached(3);
  assert.equal(reader.subscription.transport, 'sse');
  await moving;
  assert.equal(reader.subscription.transport, 'mqtt');
  await until('its event stream is closed', async () => (await eventStreams()) < streams);
  reader.isWhole(1, 3);
  await reader.close();
});

test('a target that cannot connect, or does not last: the reader stays where it is and says so', { skip }, async () => {
  const room = await stack.stream();
  const nobody = maker(`mqtt://127.0.0.1:${await freePort()}`);
  const stays = new Reader(clientOf(nobody), room, { migrateTimeoutMs: 300 });
  await stays.ready();
  await assert.rejects(stays.subscription.migrate('mqtt'), { code: 'migration_failed' });
  await tell(stack, room, 'transport_migrate', { target: 'mqtt' });
  await stays.until('the failure is told', () => stays.errors.some(({ code }) => code === 'migration_failed'));

  const cut = new Reader(clientOf(), room);
  await cut.ready();
  const before = wire.answered;
  const moving = cut.subscription.migrate('mqtt', { overlapMs: 60_000 });
  moving.catch(() => {});
  await until('MQTT is subscribed', () => wire.answered >= before + 9); // CONNACK and SUBACK
  wire.cut();
  await assert.rejects(moving, { code: 'migration_failed' });
  await write(stack, room, 2);
  for (const [reader, first] of [[stays, 1], [cut, 2]]) {
    await reader.reached(3);
    reader.isWhole(first, 3);
    assert.equal(reader.subscription.transport, 'sse');
    assert.equal(reader.subscription.status, 'live');
    await reader.close();
  }
});

test('a later migration replaces one under way; one to the transport in use does nothing', { skip }, async () => {
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
