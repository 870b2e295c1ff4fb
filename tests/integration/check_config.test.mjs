// sealcastd --check-config: reads what the settings name, and starts nothing.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

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
    'gate.redis_ca_file': [{ ...usable, SEALCAST_GATE_REDIS_URL: 'rediss://redis.example', SEALCAST_GATE_REDIS_CA_FILE: file('ca', 'no certificate') }, /certificate/],
    'regions.database_file': [{ ...usable, SEALCAST_REGIONS_LIST: 'eu https://eu.example 50 8', SEALCAST_REGIONS_DATABASE_FILE: file('geo', 'no database') }, /./],
  };
  for (const [setting, [settings, problem]] of Object.entries(bad)) {
    const [code, output] = await check(settings);
    assert.equal(code, 1, `${setting}: ${output}`);
    assert.match(output, problem);
    assert.ok(output.includes(setting), `${setting}: ${output}`);
  }
});
