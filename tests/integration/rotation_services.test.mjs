// Passwords, keys and certificates that change while a sidecar runs: of sentinels, a Redis with TLS, an MQTT broker, Ably, Supabase and
// LiveKit.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeCertificate } from '../contracts/service.mjs';
import { Broker } from './broker.mjs';
import { ContractService } from './contract_service.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { RedisSentinels } from './redis_groups.mjs';
import { RedisTarget } from './redis_target.mjs';
import { OLD, READ_AGAIN, accepts, lines, refuses, write } from './secret_files.mjs';
import { PrivateStack } from './stack.mjs';
import { TokenBroker } from './token_broker.mjs';
import { until } from './waiting.mjs';

let stack;
before(async () => {
  stack = await PrivateStack.create();
});
after(() => stack?.close());

async function start(t, settings) {
  const sidecar = await stack.sidecar({ SEALCAST_GATE_SOCKET: '', ...settings });
  t.after(() => sidecar.stop());
  return sidecar;
}

test('the password of the sentinels', { timeout: 120_000 }, async (t) => {
  const group = await RedisSentinels.start(stack);
  const demand = async (password) => {
    for (const sentinel of group.sentinels) {
      await sentinel.command('acl', 'setuser', 'default', 'resetpass', `>${password}`);
      sentinel.password = password;
    }
  };
  await demand(OLD);
  const file = write(stack, 'password-sentinel', OLD);
  const sidecar = await start(t, {
    SEALCAST_GATE_REDIS_URL: group.url,
    SEALCAST_GATE_REDIS_PASSWORD_FILE: '',
    SEALCAST_GATE_REDIS_SENTINEL_PASSWORD_FILE: file,
  });
  const room = await stack.stream();
  const fresh = `sentinel-${randomUUID()}`;
  await demand(fresh);
  write(stack, 'password-sentinel', fresh);
  const master = await group.master();
  await master.command('client', 'kill', 'type', 'normal');
  await until('the secret is read again', () => lines(sidecar, READ_AGAIN, 'sentinel_password_file') === 1);
  await accepts(stack, sidecar, room);
});

test('the certificate of Redis: the CA file is read again, and a broken one keeps the last', { timeout: 60_000 }, async (t) => {
  const [first, second] = ['first', 'second'].map((name) => makeCertificate(stack.directory, '127.0.0.1', name));
  const server = await RedisTarget.start(stack, ['--requirepass', OLD], { password: OLD, certificate: first });
  const authority = join(stack.directory, 'authority.crt');
  copyFileSync(first.cert, authority);
  const sidecar = await start(t, {
    SEALCAST_GATE_REDIS_URL: server.url,
    SEALCAST_GATE_REDIS_PASSWORD_FILE: write(stack, 'password-tls', OLD),
    SEALCAST_GATE_REDIS_CA_FILE: authority,
  });
  const room = await stack.stream();
  write(stack, 'authority.crt', 'no certificate');
  await server.command('client', 'kill', 'type', 'normal');
  await until('the log names the file and the fix', () => lines(sidecar, 'certificates cannot be read again; the last ones stay in use', 'name a PEM file') > 0);
  assert.ok(lines(sidecar, authority) > 0);
  await accepts(stack, sidecar, room);

  await server.command('config', 'set', 'tls-cert-file', second.cert, 'tls-key-file', second.key, 'tls-ca-cert-file', second.cert);
  server.certificate = second;
  await server.command('client', 'kill', 'type', 'normal');
  await refuses(stack, sidecar, room);
  write(stack, 'authority.crt', readFileSync(second.cert));
  await accepts(stack, sidecar, room);
});

test('the password of an MQTT broker, and with SIGHUP the secret of its readers', { timeout: 60_000 }, async (t) => {
  const broker = await TokenBroker.start(stack);
  const secretFile = write(stack, 'token-secret', broker.secret);
  const sidecar = await start(t, { ...broker.settings, SEALCAST_MQTT_TOKEN_SECRET_FILE: secretFile });
  const room = await stack.stream();
  const connected = () => lines(sidecar, 'connected to the MQTT broker');
  await until('the broker accepts the sidecar', () => connected() === 1);
  const fresh = `mqtt-${randomUUID()}`;
  broker.changePassword(fresh);
  await broker.stop();
  await broker.start();
  await until('the broker accepts the sidecar again', () => connected() === 2);
  assert.equal(lines(sidecar, READ_AGAIN, 'mqtt.password_file'), 1);

  const signer = async () => {
    const { json } = await request(`${sidecar.url}/streams/${room}/token`, { method: 'POST', body: { transport: 'mqtt' } });
    const [header, claims, signature] = json.token.split('.');
    return [broker.secret, 'n'.repeat(64)].find((secret) => createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url') === signature);
  };
  assert.equal(await signer(), broker.secret);
  write(stack, 'token-secret', 'n'.repeat(64));
  sidecar.process.kill('SIGHUP');
  await until('tokens have the new secret', async () => (await signer()) === 'n'.repeat(64));
  await broker.stop();
});

test('the certificate of an MQTT broker', { timeout: 60_000 }, async (t) => {
  const make = () => makeCertificate(stack.directory, '127.0.0.1', 'broker');
  const broker = await Broker.start(stack, { certificate: make() });
  const authority = write(stack, 'mqtt-authority.crt', readFileSync(broker.certificate.cert));
  const sidecar = await start(t, { SEALCAST_MQTT_URL: broker.url, SEALCAST_MQTT_CA_FILE: authority });
  const connected = () => lines(sidecar, 'connected to the MQTT broker');
  await until('the broker is trusted', () => connected() === 1);
  await broker.stop();
  make();
  await broker.start();
  await until('the new certificate is not trusted', () => lines(sidecar, 'the certificate does not verify') > 0);
  write(stack, 'mqtt-authority.crt', 'no certificate');
  await until('the log names the file and the fix', () => lines(sidecar, 'certificates cannot be read again', authority, 'name a PEM file') === 1);
  write(stack, 'mqtt-authority.crt', readFileSync(broker.certificate.cert));
  await until('the broker is trusted again', () => connected() === 2);
  assert.equal(lines(sidecar, 'certificates were read again', authority), 1);
  await broker.stop();
});

test('the certificate of the sidecar for an MQTT broker that requires one', { timeout: 60_000 }, async (t) => {
  const [server, trusted, own] = ['server', 'trusted', 'own'].map((name) => makeCertificate(stack.directory, '127.0.0.1', name));
  const broker = await Broker.start(stack, { certificate: server, clients: trusted.cert });
  const sidecar = await start(t, {
    SEALCAST_MQTT_URL: broker.url,
    SEALCAST_MQTT_CA_FILE: server.cert,
    SEALCAST_MQTT_CERT_FILE: own.cert,
    SEALCAST_MQTT_KEY_FILE: own.key,
  });
  await until('the broker refuses the certificate', () => lines(sidecar, 'the MQTT broker is unavailable') > 0);
  copyFileSync(trusted.cert, own.cert);
  await until('the old key is not that of the new certificate', () => lines(sidecar, 'certificates cannot be read again', 'mqtt.key_file') === 1);
  copyFileSync(trusted.key, own.key);
  await until('the broker accepts the certificate', () => lines(sidecar, 'connected to the MQTT broker') === 1);
  await broker.stop();
});

test('the keys of Ably, Supabase and LiveKit, and the certificates of all three', { timeout: 120_000 }, async (t) => {
  const [ably, supabase, livekit] = await Promise.all(['ably', 'supabase', 'livekit'].map((name) => ContractService.start(name)));
  t.after(() => Promise.all([ably, supabase, livekit].map((service) => service.close())));
  const secretFile = livekit.file('secret', 'secret');
  const sidecar = await start(t, {
    SEALCAST_ABLY_URL: ably.url, SEALCAST_ABLY_KEY_FILE: ably.keyFile, SEALCAST_ABLY_CA_FILE: ably.certificates,
    SEALCAST_SUPABASE_URL: supabase.url, SEALCAST_SUPABASE_KEY_FILE: supabase.keyFile, SEALCAST_SUPABASE_CA_FILE: supabase.certificates,
    SEALCAST_LIVEKIT_URL: livekit.url, SEALCAST_LIVEKIT_API_KEY: 'the.key', SEALCAST_LIVEKIT_API_SECRET_FILE: secretFile, SEALCAST_LIVEKIT_CA_FILE: livekit.certificates,
    SEALCAST_AUDIENCE_WINDOW_MS: '1500', SEALCAST_AUDIENCE_UPDATE_MS: '200',
  });
  const room = await stack.stream();
  const reader = await Subscriber.to(sidecar.url, room);
  await until('the transports have begun', async () => (await stack.query("select from sealcast.delivery_status where transport in ('ably', 'supabase')")).length === 2);
  let participants = 0;
  const delivered = async () => {
    const content = randomUUID();
    assert.equal((await send(sidecar.url, stack.user(), message(room, content))).status, 200);
    for (const service of [ably, supabase]) {
      await until('the service has the message', async () => {
        const { messages } = await service.command({ do: 'messages', channel: `sealcast:${room}` });
        return JSON.stringify(messages).includes(content);
      });
    }
    participants += 1;
    await livekit.command({ do: 'rooms', rooms: { [room]: participants } });
    await until('the participants are counted', () => reader.frames.some(({ envelope }) => envelope.d.webrtc === participants), 30_000);
  };
  await delivered();
  for (const service of [ably, supabase, livekit]) await service.command({ do: 'key', key: 'the.key:fresh' });
  for (const service of [ably, supabase]) service.file('api-key', 'the.key:fresh');
  livekit.file('secret', 'fresh');
  await delivered();
  for (const setting of ['ably.key_file', 'supabase.key_file', 'livekit.api_secret_file']) assert.equal(lines(sidecar, READ_AGAIN, setting), 1, setting);

  for (const service of [ably, supabase, livekit]) await service.command({ do: 'certificate' });
  await delivered();
  reader.close();
});
