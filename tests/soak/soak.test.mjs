// Runs the load of `make soak` in short form, in a child process with its own stack.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../soak.sh', import.meta.url));

test('memory, tables and indexes do not grow in forty seconds of steady load beside an open transaction', { timeout: 300_000 }, async (t) => {
  const env = { ...process.env, SECONDS_OF_LOAD: '40', RATE: '50', READERS: '20' };
  const { stdout } = await run(script, { env }).catch((error) => assert.fail(`${error.stdout}\n${error.stderr}`));
  for (const line of stdout.trim().split('\n').slice(-2)) t.diagnostic(line);
});
