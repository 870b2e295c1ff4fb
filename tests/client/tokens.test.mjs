// Readers that need a token for another transport: Mosquitto with the plugin, and the real ably-js against a local service
// that checks tokens as Ably does.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { ably, createClient, mqtt, sse } from '../../client/index.js';
import { freePort, PrivateStack } from '../integration/stack.mjs';
import { TokenBroker } from '../integration/token_broker.mjs';
import { until } from '../integration/waiting.mjs';
import { Proxy } from './proxy.mjs';
import { Reader } from './reader.mjs';
import { AblyService } from './services.mjs';
import { write, writeAsSystem } from './stream.mjs';

const ABLY_KEY = 'the.key:secret';
const READERS = 60;

let stack, broker, brokerProxy, service, url;
before(async () => {
  stack = await PrivateStack.create();
  broker = await TokenBroker.start(stack);
  brokerProxy = await Proxy.to(broker.webSocketUrl);
  service = await AblyService.start();
  service.requireTokens(ABLY_KEY);
  const keyFile = join(stack.directory, 'ably-key');
  writeFileSync(keyFile, ABLY_KEY, { mode: 0o644 });
  const sidecar = await stack.sidecar({
    ...broker.settings,
    SEALCAST_MQTT_PUBLIC_URL: brokerProxy.url,
    SEALCAST_MQTT_VIP_TOPIC: 'vip/{stream_id}',
    SEALCAST_ABLY_KEY_FILE: keyFile,
    SEALCAST_ABLY_URL: `https://127.0.0.1:${await freePort()}`, // unused: the test itself publishes
  });
  url = sidecar.url;
});
after(async () => {
  service?.close();
  await brokerProxy?.close();
  await stack?.close();
});

const overMqtt = (options) =>
  mqtt({
    client: ({ url: where, token }) => mqttjs.connect(where, { username: 'reader', password: token, reconnectPeriod: 0 }),
    ...options,
  });
const overAbly = (options) =>
  ably({
    client: ({ authCallback }) =>
      // The SDK asks for a token by the callback, so it needs none at the start.
      service.sdk({ token: undefined, authCallback, disconnectedRetryTimeout: 50 }),
    ...options,
  });

// A client of a user. `exchanges` has the statuses of the answers to its token requests, or the
// members of a request that has others than transport and channel. With `withoutSession` these requests
// carry no session.
function clientOf(user, { withoutSession = false, transports = [sse(), overMqtt(), overAbly()] } = {}) {
  const exchanges = [];
  const watched = async (target, { headers, ...request } = {}) => {
    if (!target.endsWith('/token')) return fetch(target, { headers, ...request });
    const { Authorization, ...others } = headers;
    const answer = await fetch(target, { headers: withoutSession ? others : headers, ...request });
    const members = Object.keys(JSON.parse(request.body)).join();
    exchanges.push(members === 'transport,channel' ? answer.status : members);
    return answer;
  };
  const client = createClient({ url, token: user?.token(), fetch: watched, transports });
  return Object.assign(client, { exchanges });
}

async function privateRoom(members = 1) {
  const room = await stack.stream({ visibility: 'private' });
  const users = Array.from({ length: members }, () => stack.user());
  for (const user of users) await stack.grant(room, user, 'member');
  return { room, users };
}

// Writes the transport_migrate message that the sidecar writes when it moves a stream.
const migrate = (room, target) =>
  writeAsSystem(stack, room, 'transport_migrate', {
    type: 'migrate',
    target,
    channel_id: target === 'ably' ? `sealcast:${room}` : `sealcast/${room}`,
    token: 'required',
    overlap_ms: 200,
  });
const isOn = (reader, name) => reader.until(`the reader uses ${name}`, () => reader.subscription.transport === name);
const codes = (reader) => reader.errors.map(({ code }) => code);

// Publishes a private stream's frames to the local Ably service, as the sidecar's adapter does.
async function bridge(room, user) {
  const client = clientOf(user, { transports: [sse()] });
  const reader = new Reader(client, room, { from: 0 }, (frame) => service.publish(`sealcast:${room}`, frame));
  await reader.ready();
  return reader;
}

test('many readers of a private stream migrate to MQTT, and a late one by the state of the stream', async () => {
  const { room, users } = await privateRoom(READERS + 1);
  const late = users.pop();
  const readers = users.map((user) => {
    const client = clientOf(user);
    return Object.assign(new Reader(client, room, { spreadMs: 100, migrateTimeoutMs: 60_000 }), { client });
  });
  for (const reader of readers) await reader.ready();
  await write(stack, room, 5);
  await migrate(room, 'mqtt');
  await write(stack, room, 5);
  for (const reader of readers) await reader.reached(11);
  const latecomer = new Reader(clientOf(late), room, { migrateTimeoutMs: 60_000 });
  for (const reader of [...readers, latecomer]) await isOn(reader, 'mqtt');
  await migrate(room, 'mqtt'); // readers on MQTT ignore it
  await write(stack, room, 5);
  for (const reader of [...readers, latecomer]) {
    await reader.reached(17);
    assert.deepEqual(codes(reader), []);
  }
  for (const reader of readers) reader.assertOffsets(1, 17);
  assert.deepEqual(latecomer.offsets, [6, 12, 13, 14, 15, 16, 17], 'the transport_migrate first');
  for (const { client } of readers) assert.deepEqual(client.exchanges, [200], 'each reader requested one token');
  for (const reader of [...readers, latecomer]) await reader.close();
});

for (const target of ['mqtt', 'ably']) {
  test(`${target}: without a session a private stream gives no token, and the reader stays on SSE`, async () => {
    const { room, users } = await privateRoom(2);
    const publisher = target === 'ably' ? await bridge(room, users[1]) : null;
    const client = clientOf(users[0], { withoutSession: true });
    const reader = new Reader(client, room);
    await reader.ready();
    await migrate(room, target);
    await reader.until('the token is refused', () => codes(reader).includes('transport_refused'));
    await migrate(room, target); // the repeat is not followed at once
    assert.deepEqual([reader.subscription.transport, reader.subscription.status], ['sse', 'live']);
    await write(stack, room, 3);
    await reader.reached(5);
    reader.assertOffsets(1, 5);
    assert.deepEqual(client.exchanges, [401]);
    await reader.close();
    await publisher?.close();
  });

  test(`${target}: a reader that begins there requests a token for each connection`, async () => {
    const { room, users } = await privateRoom(2);
    const publisher = target === 'ably' ? await bridge(room, users[1]) : null;
    const client = clientOf(users[0], { transports: [overMqtt({ tokens: true }), overAbly({ tokens: true })] });
    const reader = new Reader(client, room, { transport: target });
    await reader.ready();
    for (let times = 1; times <= 3; times++) {
      if (target === 'ably') service.expireTokens();
      else brokerProxy.cut();
      await reader.until('another token', () => client.exchanges.length > times);
      await reader.until('it is live', () => reader.subscription.status === 'live');
      await write(stack, room, 2);
      await reader.reached(2 * times);
    }
    reader.assertOffsets(1, 6);
    assert.ok(client.exchanges.every((status) => status === 200));
    await reader.close();
    await publisher?.close();
  });
}

test('a token request without an answer blocks neither another migration nor close()', async () => {
  const { room, users } = await privateRoom();
  let asked = 0;
  const stuck = (target, { signal, ...request }) => {
    if (!target.endsWith('/token')) return fetch(target, { signal, ...request });
    asked++;
    return new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const transports = [sse(), overMqtt({ tokens: true })];
  const client = createClient({ url, token: users[0].token(), fetch: stuck, transports, timeoutMs: 3_600_000 });
  const reader = new Reader(client, room, { migrateTimeoutMs: 3_600_000 });
  await reader.ready();
  const moving = reader.subscription.migrate('mqtt');
  await until('a token is requested', () => asked === 1);
  await reader.subscription.migrate('sse');
  await assert.rejects(moving, { code: 'migration_superseded' });
  reader.subscription.migrate('mqtt').catch(() => {});
  await until('a token is requested again', () => asked === 2);
  await reader.close();
});

test('a token for a public stream needs no session', async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(null, { transports: [overMqtt({ tokens: true })] }), room);
  await reader.ready();
  await write(stack, room, 1);
  await reader.reached(1);
  await reader.close();
});

test('a subscription fails when the user may not read the private stream', async () => {
  const { room } = await privateRoom();
  for (const [user, status] of [[null, 401], [stack.user(), 403]]) {
    const reader = new Reader(clientOf(user, { transports: [overMqtt({ tokens: true })] }), room);
    await assert.rejects(reader.subscription.ready, { code: 'transport_refused', status });
    assert.equal(reader.subscription.status, 'failed');
  }
});

test('a member reads the vip channel with a token', async () => {
  const { room, users } = await privateRoom();
  const options = { channel: 'vip', transport: 'mqtt' };
  const driver = overMqtt({ tokens: true, vipTopic: 'vip/{stream_id}' });
  const reader = new Reader(clientOf(users[0], { transports: [driver] }), room, options);
  await reader.ready();
  await write(stack, room, 1);
  await reader.reached(1);
  await reader.close();
});

test('a token for one stream does not open another one on Ably', async () => {
  const [one, two] = [await stack.stream(), await stack.stream()];
  const { token } = await (await fetch(`${url}/streams/${one}/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ transport: 'ably' }),
  })).json();
  const ofTheOther = (streamId, on) =>
    overAbly({ tokens: true }).connect(streamId, {
      ...on,
      access: async () => ({ channelId: `sealcast:${two}`, token, renew: async () => ({ token }) }),
    });
  const reader = new Reader(clientOf(null, { transports: [{ name: 'ably', connect: ofTheOther }] }), two);
  await reader.until('the Ably channel is refused', () => reader.errors.some(({ message }) => /not permitted/.test(message)));
  await reader.close();
});

// A simulated transport: the test makes it bring messages with bring().
function scripted(name, transports = {}) {
  transports[name] = { connections: 0 };
  const connect = async (streamId, on) => {
    transports[name].connections++;
    let offset = Number(on.after() ?? 0);
    transports[name].bring = (t, s, d) =>
      on.onFrame({ offset: ++offset, prev: offset - 1, envelope: { v: 1, t, stream_id: streamId, s, d } });
    on.onConnected({ offset, resumed: true });
    await new Promise((resolve) => on.signal.addEventListener('abort', resolve));
  };
  return { name, resumes: true, connect };
}

test('only the system moves a stream, and readers follow a repeated transport_migrate once', async () => {
  const made = {};
  const [system, user] = ['00000000-0000-0000-0000-000000000000', stack.user().id];
  const reader = new Reader(clientOf(null, { transports: [scripted('here', made), scripted('there', made)] }), user);
  await reader.ready();
  const move = (sender, target) => made.here.bring('transport_migrate', sender, { target, overlap_ms: 100 });
  move(user, 'nowhere');
  await reader.reached(1);
  assert.deepEqual(codes(reader), []);
  for (let times = 0; times < 3; times++) move(system, 'nowhere');
  move(system, 'here');
  await reader.reached(5);
  for (let times = 0; times < 3; times++) move(system, 'there');
  await isOn(reader, 'there');
  made.there.bring('transport_migrate', system, { target: 'there' });
  await reader.until('the message is read', () => reader.frames.length >= 6);
  assert.deepEqual([made.here.connections, made.there.connections], [1, 1]);
  assert.deepEqual(codes(reader), ['transport_unknown'], 'an unknown target is reported once');
  await reader.close();
});

test('of two transport_migrate messages the later one counts, even if its random pause is shorter', async () => {
  const made = {};
  const system = '00000000-0000-0000-0000-000000000000';
  const transports = [scripted('here', made), scripted('there', made), scripted('elsewhere', made)];
  const reader = new Reader(clientOf(null, { transports }), stack.user().id, { spreadMs: 100 });
  await reader.ready();
  for (const target of ['there', 'elsewhere']) made.here.bring('transport_migrate', system, { target, overlap_ms: 0 });
  await isOn(reader, 'elsewhere');
  await reader.close();
  assert.equal(made.there.connections, 0);
});

test('readers wait for a random part of spread_ms, or of their own spreadMs if that is longer', async (t) => {
  const system = '00000000-0000-0000-0000-000000000000';
  const { random } = Math;
  t.after(() => (Math.random = random));
  Math.random = () => 0.5;
  for (const [spread, wait] of [[400, 200], ['400', 200], [undefined, 40], [null, 40], [0, 40], [-400, 40], ['soon', 40]]) {
    const made = {};
    const transports = [scripted('here', made), scripted('there', made)];
    const reader = new Reader(clientOf(null, { transports }), stack.user().id, { spreadMs: 80 });
    await reader.ready();
    const began = performance.now();
    made.here.bring('transport_migrate', system, { target: 'there', overlap_ms: 0, spread_ms: spread });
    await isOn(reader, 'there');
    const waited = performance.now() - began;
    assert.ok(waited > wait - 2, `${spread}: ${waited} ms`);
    await reader.close();
  }
});
