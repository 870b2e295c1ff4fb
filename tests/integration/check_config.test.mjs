// sealcastd --check-config: reads what the settings name, and starts nothing.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeCertificate } from '../contracts/service.mjs';

const directory = mkdtempSync(join(tmpdir(), 'sealcast-check-'));
after(() => rmSync(directory, { recursive: true }));

function file(name, content) {
  const path = join(directory, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

// Resolves with the exit code and the output.
const check = (settings, parameters = []) =>
  new Promise((resolve) => {
    const env = { PATH: process.env.PATH, ...settings };
    execFile(process.env.SEALCASTD, [...parameters, '--check-config'], { env }, (error, stdout, stderr) => resolve([error?.code ?? 0, stdout + stderr]));
  });

const certificate = makeCertificate(directory, 'localhost');
const secret = file('secret', `${'s'.repeat(64)}\n`);
const usable = { SEALCAST_SESSION_HS256_SECRET_FILE: secret };

test('settings whose files are good are valid, for the sidecar and for a worker', async () => {
  assert.deepEqual(await check(usable), [0, 'the settings are valid\n']);
  assert.deepEqual((await check({ ...usable, SEALCAST_REDIS_EVENTS_URL: 'redis://127.0.0.1' }, ['worker', '--group', 'default']))[0], 0);
});

test('a file that cannot be used is named with its setting', async () => {
  const bad = {
    'session.hs256_secret_file': [{ SEALCAST_SESSION_HS256_SECRET_FILE: file('short', 'short\n') }, /shorter than 32 bytes/],
    'session.jwks_file': [{ ...usable, SEALCAST_SESSION_JWKS_FILE: file('jwks', '{"keys":[{"kty":"EC","kid":"a"}]}') }, /the key "a" is neither/],
    'switching.webhook_secret_file': [
      { ...usable, SEALCAST_SWITCHING_WEBHOOK_URL: 'https://hook.example', SEALCAST_SWITCHING_WEBHOOK_SECRET_FILE: file('webhook', `whsec_${'A'.repeat(32)}\nwhsk_AAAA\n`) },
      /whsk_ and an Ed25519 private key/,
    ],
    'webhooks.secret_file': [
      { ...usable, SEALCAST_WEBHOOKS_URL: 'https://backend.example', SEALCAST_WEBHOOKS_SECRET_FILE: file('webhooks', 'whsec_AAAA\n') },
      /not whsec_ and 24 to 64 bytes/,
    ],
    'gate.redis_ca_file': [{ ...usable, SEALCAST_GATE_REDIS_URL: 'rediss://redis.example', SEALCAST_GATE_REDIS_CA_FILE: file('ca', 'no certificate') }, /certificate/],
    'mqtt.key_file': [{ ...usable, SEALCAST_MQTT_URL: 'mqtts://broker.example', SEALCAST_MQTT_CERT_FILE: certificate.cert, SEALCAST_MQTT_KEY_FILE: secret }, /is not the key of mqtt.cert_file/],
    'redis_streams.cert_file': [{ ...usable, SEALCAST_REDIS_STREAMS_URL: 'rediss://redis.example', SEALCAST_REDIS_STREAMS_CERT_FILE: secret, SEALCAST_REDIS_STREAMS_KEY_FILE: secret }, /certificate/],
    'regions.database_file': [{ ...usable, SEALCAST_REGIONS_LIST: 'eu https://eu.example 50 8', SEALCAST_REGIONS_DATABASE_FILE: file('geo', 'no database') }, /./],
  };
  for (const [setting, [settings, problem]] of Object.entries(bad)) {
    const [code, output] = await check(settings);
    assert.equal(code, 1, `${setting}: ${output}`);
    assert.match(output, problem);
    assert.ok(output.includes(setting), `${setting}: ${output}`);
  }
});
