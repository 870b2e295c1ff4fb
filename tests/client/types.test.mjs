// The hand-written types: index.d.ts compiles, and so does types.ts, which uses it.
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

test('types.ts compiles', async () => {
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--moduleResolution', 'nodenext'];
  const more = ['--lib', 'es2022,dom', '--skipLibCheck', '--types', 'node'];
  const tsc = here('../../node_modules/typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, ...options, ...more, here('types.ts')]).catch(({ stdout, message }) => {
    throw new Error(stdout || message);
  });
});
