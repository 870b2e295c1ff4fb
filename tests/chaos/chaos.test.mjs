// Faults under load, in short: a child process with a machine of its own, as `make chaos` runs it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../chaos.sh', import.meta.url));

test('no promise is broken by half a minute of faults', { timeout: 300_000 }, async (t) => {
  const env = { ...process.env, SEED: '7', SECONDS_OF_LOAD: '30' };
  const { stdout } = await run(script, { env }).catch((error) => assert.fail(`${error.stdout}\n${error.stderr}`));
  for (const line of stdout.trim().split('\n').slice(-3)) t.diagnostic(line);
  assert.match(stdout, /No promise is broken/);
});
