// Runs the fault injection of `make chaos` in short form, in a child process with its own stack.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SHORT } from './schedule.mjs';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../chaos.sh', import.meta.url));

test(`all guarantees hold during ${SHORT.seconds} seconds of faults`, { timeout: 300_000 }, async (t) => {
  const env = { ...process.env, GATE_REDIS: '', FAULTS: '', SEED: `${SHORT.seed}`, SECONDS_OF_LOAD: `${SHORT.seconds}` };
  // What is violated comes first: the totals of a run print the first line only.
  const { stdout } = await run(script, { env }).catch(({ stdout: output, stderr }) =>
    assert.fail(`${(output.match(/^VIOLATED: .*/gm) ?? []).slice(0, 3).join(' | ')}\n${output}\n${stderr}`));
  for (const line of stdout.trim().split('\n').slice(-3)) t.diagnostic(line);
  assert.match(stdout, /All guarantees hold/);
});
