// The calls of the switching webhook follow Standard Webhooks 1.0.0
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): the receiver verifies them with the
// package standardwebhooks, and answers as receivers may.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { READ_AGAIN, lines, write } from './secret_files.mjs';
import { PrivateStack, freePort } from './stack.mjs';
import { until } from './waiting.mjs';
import { Receiver, hmacSecret } from './webhook_receiver.mjs';

let stack, receiver;
before(async () => {
  stack = await PrivateStack.create();
  receiver = await Receiver.start();
});
after(async () => {
  await receiver?.close();
  await stack?.close();
});

// The target's broker is down. So a stream stays in `warming`, and goes to `cooling` when it is set to standard.
async function start(t, secrets) {
  await stack.query('delete from sealcast.switching'); // of other tests
  receiver.answer = () => ({ status: 204 });
  const sidecar = await stack.sidecar({
    SEALCAST_MQTT_URL: `mqtt://127.0.0.1:${await freePort()}`,
    SEALCAST_DELIVERY_STANDARD: 'sse',
    SEALCAST_DELIVERY_HYBRID: 'sse,mqtt',
    SEALCAST_DELIVERY_HOT: 'mqtt',
    SEALCAST_SWITCHING_TARGET: 'mqtt',
    SEALCAST_SWITCHING_WEBHOOK_URL: receiver.url,
    SEALCAST_SWITCHING_WEBHOOK_SECRET_FILE: write(stack, 'webhook-secrets', secrets.join('\n')),
  });
  t.after(() => sidecar.stop());
  return sidecar;
}

const setMode = (room, mode) => stack.query('select sealcast.set_delivery_mode($1, $2)', [room, mode]);
async function warmUp() {
  const room = await stack.stream();
  await setMode(room, 'hot');
  return room;
}
const stepOf = async (room) => (await stack.query('select step from sealcast.switching where stream_id = $1', [room]))[0]?.step ?? 'standard';
const accepted = (room) =>
  until('the acceptance is recorded', async () => (await stack.query('select notified_at from sealcast.switching where stream_id = $1', [room]))[0]?.notified_at);

test('each call is signed with every secret, and repeats are the same event', async (t) => {
  const [old, fresh] = [hmacSecret(), hmacSecret()];
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = (key, type) => key.export({ format: 'der', type }).subarray(-32);
  const asymmetric = `whsk_${Buffer.concat([raw(privateKey, 'pkcs8'), raw(publicKey, 'spki')]).toString('base64')}`;
  const sidecar = await start(t, [old, asymmetric]);
  receiver.answer = () => ({ status: receiver.calls.length > 1 ? 200 : 500 });
  const began = Date.now();
  const room = await warmUp();
  const [first, second] = await receiver.received(room, 2);
  assert.equal(second.id, first.id);
  assert.deepEqual(second.json, first.json);
  assert.deepEqual(first.json, { type: 'stream.warm_up', timestamp: first.json.timestamp, data: { stream_id: room, viewers: 0 } });
  assert.match(first.json.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.ok(Date.parse(first.json.timestamp) >= began - 1 && Date.parse(first.json.timestamp) <= first.at, first.json.timestamp);
  for (const { headers, body } of [first, second]) {
    assert.deepEqual(new Webhook(old).verify(body, headers), first.json);
    assert.throws(() => new Webhook(fresh).verify(body, headers), /No matching signature/);
    const signature = headers['webhook-signature'].split(' ').find((each) => each.startsWith('v1a,'));
    const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw(publicKey, 'spki').toString('base64url') }, format: 'jwk' });
    assert.ok(verify(null, Buffer.from(content), key, Buffer.from(signature.slice(4), 'base64')), 'Ed25519');
  }
  await accepted(room);

  // While a secret is replaced, both are in the file. Receivers may have either.
  write(stack, 'webhook-secrets', `${fresh}\n${old}\n`);
  sidecar.process.kill('SIGHUP');
  await until('the secrets are read again', () => lines(sidecar, READ_AGAIN, 'switching.webhook_secret_file') === 1);
  await setMode(room, 'standard');
  const last = await until('cool_down is called', () => receiver.of(room).find(({ json }) => json.type === 'stream.cool_down'));
  for (const secret of [old, fresh]) assert.equal(new Webhook(secret).verify(last.body, last.headers).type, 'stream.cool_down');
  assert.ok(Date.parse(last.json.timestamp) > Date.parse(first.json.timestamp));
  for (const secret of [old, fresh, asymmetric]) assert.ok(!sidecar.log.some((line) => line.includes(secret)), 'the log contains no secret');
});

test('Retry-After delays the next call, and after 429 the calls for other streams as well', async (t) => {
  await start(t, [hmacSecret()]);
  const seconds = 4; // the pause after a first failure is about 1 s without Retry-After
  const before = receiver.calls.length;
  receiver.answer = () => (receiver.calls.length > before + 1 ? { status: 204 } : { status: 429, headers: { 'Retry-After': String(seconds) } });
  const room = await warmUp();
  const [first] = await receiver.received(room, 1);
  const other = await warmUp();
  const [, second] = await receiver.received(room, 2);
  assert.ok(second.at - first.at >= seconds * 1000, `called again after ${second.at - first.at} ms`);
  const [another] = await receiver.received(other, 1);
  assert.ok(another.at - first.at >= seconds * 1000, `another stream's call after ${another.at - first.at} ms`);
  await Promise.all([accepted(room), accepted(other)]);
});

test('after 410 nothing is called and no step waits, until SIGHUP', async (t) => {
  const sidecar = await start(t, [hmacSecret()]);
  receiver.answer = () => ({ status: 410 });
  const room = await warmUp();
  await receiver.received(room, 1);
  await until('the log says it', () => lines(sidecar, 'the webhook answered 410') === 1);
  const calls = receiver.calls.length;
  const other = await warmUp();
  await until('the other stream warms up', async () => (await stepOf(other)) === 'warming');
  await setMode(room, 'standard');
  await until('the stream does not wait in cooling', async () => (await stepOf(room)) === 'standard', 5000);
  assert.equal(receiver.calls.length, calls, 'no further call');
  receiver.answer = () => ({ status: 204 });
  sidecar.process.kill('SIGHUP');
  await accepted(other);
  assert.ok(receiver.calls.length > calls);
});
