// The Mosquitto plugin, with tokens made by the test: a token allows one topic, and nothing else.
import assert from 'node:assert/strict';
import { afterEach, after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { nowSeconds, signJwt } from './jwt.mjs';
import { PrivateStack } from './stack.mjs';
import { TokenBroker } from './token_broker.mjs';
import { until, within } from './waiting.mjs';

const TOPIC = 'sealcast/one';
// Subscriptions that a token for TOPIC does not allow, such as a shared subscription to it.
const OTHERS = ['sealcast/two', 'sealcast/#', 'sealcast/+', '+/one', '#', '+/#', '$SYS/#', '$SYS/broker/version', '$share/group/#', `$share/group/${TOPIC}`, `${TOPIC}/`, `/${TOPIC}`, '$file/1'];

let stack, broker, publisher;
const clients = new Set();
before(async () => {
  stack = await PrivateStack.create();
  broker = await TokenBroker.start(stack);
  publisher = await mqttjs.connectAsync(broker.url, { username: 'sealcast', password: broker.password });
});
afterEach(() => {
  for (const client of clients) client.end(true);
  clients.clear();
});
after(async () => {
  publisher?.end(true);
  await stack?.close();
});

const acl = (...topics) => ({ sub: topics });
const tokenOf = (claims = {}, { secret = broker.secret, header } = {}) =>
  signJwt({ exp: nowSeconds() + 60, acl: acl(TOPIC), ...claims }, secret, header);

// One attempt to connect. Rejects when the broker refuses.
async function connect(password, options = {}) {
  const { url = broker.url, ...more } = options;
  const client = mqttjs.connect(url, { username: 'reader', password, reconnectPeriod: 0, protocolVersion: 5, ...more });
  clients.add(client);
  client.received = [];
  client.on('message', (topic, payload) => client.received.push([topic, String(payload)]));
  client.granted = (topic) =>
    new Promise((resolve, reject) => {
      client.subscribe(topic, { qos: 1 }, (error) => (error && !error.packet ? reject(error) : resolve(!error)));
    });
  await within('an answer', new Promise((resolve, reject) => {
    client.once('connect', resolve);
    client.once('error', reject);
    client.once('close', () => reject(new Error('closed')));
  }));
  return client;
}

// Publishes `last`, waits until the client receives it, and returns all texts that the client has received.
async function receivedBy(client, topic, last) {
  await publisher.publishAsync(topic, last, { qos: 1 });
  await until(`"${last}" is received`, () => client.received.some(([, text]) => text === last));
  return client.received.map(([, text]) => text);
}

for (const [how, options] of [
  ['MQTT 5', {}],
  ['MQTT 3.1.1', { protocolVersion: 4 }],
  ['WebSockets', { webSocket: true }],
]) {
  test(`a token allows to subscribe to its topic and to nothing else, over ${how}`, async () => {
    const { webSocket, ...rest } = options;
    const reader = await connect(tokenOf(), { ...rest, ...(webSocket && { url: broker.webSocketUrl }) });
    assert.ok(await reader.granted(TOPIC));
    for (const other of OTHERS) assert.equal(await reader.granted(other), false, other);
    await publisher.publishAsync('sealcast/two', 'of another stream', { qos: 1 });
    assert.deepEqual(await receivedBy(reader, TOPIC, `over ${how}`), [`over ${how}`]);
  });
}

test('a token allows neither publishing nor a will', async () => {
  const [reader, other] = [await connect(tokenOf()), await connect(tokenOf())];
  assert.ok(await other.granted(TOPIC));
  const refusal = await reader.publishAsync(TOPIC, 'forged', { qos: 1 }).catch((error) => error);
  assert.equal(refusal?.code ?? refusal?.reasonCode, 135, 'not authorized');
  await reader.publishAsync('$file/1/init', 'forged', { qos: 1 }).then(assert.fail, (error) => assert.equal(error.code, 135));
  await reader.publishAsync(TOPIC, 'a forged retained message', { qos: 1, retain: true }).catch(() => {});
  const will = { topic: TOPIC, payload: 'a forged will', qos: 1 };
  const dead = await connect(tokenOf(), { will }).catch(() => null);
  dead?.stream.destroy();
  await until('the connection with the will is closed', () => !dead || broker.log.some((line) => line.includes(`${dead.options.clientId}`) && /closed|disconnect/i.test(line)));
  assert.deepEqual(await receivedBy(other, TOPIC, 'the end'), ['the end']);
  const late = await connect(tokenOf());
  assert.ok(await late.granted(TOPIC));
  assert.deepEqual(await receivedBy(late, TOPIC, 'after the end'), ['after the end'], 'no retained message');
});

test('a token may name several topics', async () => {
  const reader = await connect(tokenOf({ acl: acl(TOPIC, 'sealcast/two') }));
  assert.ok((await reader.granted(TOPIC)) && (await reader.granted('sealcast/two')));
  assert.equal(await reader.granted('sealcast/three'), false);
});

test('an invalid token is refused at connect', async () => {
  const past = nowSeconds() - 1;
  for (const [what, token] of Object.entries({
    expired: tokenOf({ exp: past }),
    'without an end': tokenOf({ exp: undefined }),
    forged: tokenOf({}, { secret: 'another secret: 0123456789abcdef' }),
    'alg none': `${tokenOf({}, { header: { alg: 'none' } }).split('.').slice(0, 2).join('.')}.`,
    'alg none with a signature': tokenOf({}, { header: { alg: 'none' } }),
    'alg HS512': tokenOf({}, { header: { alg: 'HS512' } }),
    'a session': tokenOf({ acl: undefined, sub: 'somebody' }),
    'an acl that is no object': tokenOf({ acl: TOPIC }),
    'an empty acl': tokenOf({ acl: {} }),
    'an acl without topics': tokenOf({ acl: acl() }),
    'an acl with too many topics': tokenOf({ acl: acl(...Array.from({ length: 17 }, (_, i) => `sealcast/${i}`)) }),
    'an acl whose topics are no list': tokenOf({ acl: { sub: TOPIC } }),
    'an acl with a topic that is no text': tokenOf({ acl: acl(1) }),
    'an acl with an empty topic': tokenOf({ acl: acl('') }),
    'an acl with a wildcard': tokenOf({ acl: acl(TOPIC, 'sealcast/#') }),
    'an acl with a shared subscription': tokenOf({ acl: acl(`$share/group/${TOPIC}`) }),
    'an acl that publishes': tokenOf({ acl: { sub: [TOPIC], pub: [TOPIC] } }),
    'an acl for all': tokenOf({ acl: { all: [TOPIC] } }),
    'a list of rules': tokenOf({ acl: [{ permission: 'allow', action: 'subscribe', topic: TOPIC }, { permission: 'deny', action: 'all', topic: '#' }] }),
  })) {
    await assert.rejects(connect(token), /Not authorized|Bad User|closed/i, what);
  }
  assert.ok(broker.log.some((line) => /refused the token of client \S+: it has expired/.test(line)), 'the log has the reason');
});

test('a subscription continues after its token has expired, and a new one is refused', async () => {
  const end = nowSeconds() + 4;
  const reader = await connect(tokenOf({ exp: end }));
  assert.ok(await reader.granted(TOPIC));
  await until('a new subscription is refused', async () => !(await reader.granted(TOPIC)));
  assert.ok(nowSeconds() >= end, 'not before the token expires');
  assert.deepEqual(await receivedBy(reader, TOPIC, 'after its end'), ['after its end']);
});

test('a reader who may lose the right is disconnected when the token expires, and reads on with a new token', async () => {
  const protocols = {
    'MQTT 5': {},
    'a session that is kept': { clientId: 'keeps', clean: false, properties: { sessionExpiryInterval: 60 } },
    'MQTT 3.1.1': { protocolVersion: 4 },
    WebSockets: { url: broker.webSocketUrl },
  };
  const end = nowSeconds() + 10;
  const short = tokenOf({ exp: end, ends_connection: true });
  const gone = await connect(short);
  gone.end(true); // at the end of its token, another client may have its place in memory
  const leaving = await Promise.all(Object.values(protocols).map((options) => connect(short, options)));
  const staying = await Promise.all([connect(tokenOf({ exp: end })), connect(tokenOf({ ends_connection: true }))]);
  for (const granted of await Promise.all([...leaving, ...staying].map((reader) => reader.granted(TOPIC)))) assert.ok(granted);
  await until('the readers are disconnected', () => leaving.every((reader) => !reader.connected));
  assert.ok(nowSeconds() >= end, 'not before the token expires');
  for (const [i, reader] of staying.entries()) await receivedBy(reader, TOPIC, `to reader ${i}, who stays`);
  assert.deepEqual(leaving.flatMap(({ received }) => received), []);
  for (const [how, options] of Object.entries(protocols)) {
    await assert.rejects(connect(short, options), /Not authorized|Bad User|closed/i, how);
    const again = await connect(tokenOf({ ends_connection: true }), options);
    assert.ok(await again.granted(TOPIC), how);
  }
});

test('a resumed MQTT session has the rights of its new token', async () => {
  const session = { clientId: 'keeps-its-session', clean: false, properties: { sessionExpiryInterval: 60 } };
  const first = await connect(tokenOf(), session);
  assert.ok(await first.granted(TOPIC));
  first.end(true);
  const second = await connect(tokenOf({ acl: acl('sealcast/two') }), session);
  assert.ok(await second.granted('sealcast/two'));
  await publisher.publishAsync(TOPIC, 'no longer allowed', { qos: 1 });
  assert.deepEqual(await receivedBy(second, 'sealcast/two', 'the other'), ['the other']);
});

test('a client that takes over a client id has the rights of its own token', async () => {
  const first = await connect(tokenOf(), { clientId: 'taken' });
  const second = await connect(tokenOf({ acl: acl('sealcast/two') }), { clientId: 'taken' });
  await until('the first client is disconnected', () => !first.connected);
  assert.equal(await second.granted(TOPIC), false);
  assert.ok(await second.granted('sealcast/two'));
});

test('clients without a token are checked by the broker\'s other rules', async () => {
  await assert.rejects(connect('no token'), /Not authorized/i);
  await assert.rejects(connect(undefined, { username: undefined }), /Not authorized/i);
  await assert.rejects(connect('a.b.c'), /Not authorized/i);
  const user = await connect(broker.password, { username: 'sealcast' });
  assert.ok(await user.granted('sealcast/#'));
});

test('the broker reads a new secret at a reload, and keeps the last one when it is invalid', async () => {
  const before = tokenOf();
  broker.useSecret('too short');
  await until('the log has the reason', () => broker.log.some((line) => line.includes('shorter than 32 bytes')));
  await connect(before);
  const next = 'the next secret: 0123456789abcdef0123456789';
  broker.useSecret(next);
  await until('the next secret is in use', () => connect(tokenOf({}, { secret: next })));
  await assert.rejects(connect(before), /Not authorized/i);
  broker.useSecret(broker.secret);
  await until('the first secret is in use again', () => connect(tokenOf()));
});

test('a broker does not start with an empty secret file', async () => {
  assert.equal(await broker.stop(), 0);
  broker.useSecret('');
  await assert.rejects(broker.start(), /the file \S+ is empty/);
});
