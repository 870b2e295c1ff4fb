// The benchmark's load generator against a real stack: the messages that it counts are stored and delivered, and it detects
// forged envelopes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sharedStack } from './stack.mjs';

const loadGenerator = join(process.env.SEALCAST_BUILD ?? fileURLToPath(new URL('../../build', import.meta.url)), 'sealcast_load');

let stack, files;
before(async () => {
  stack = await sharedStack();
  files = mkdtempSync(join(tmpdir(), 'sealcast-load-'));
  writeFileSync(join(files, 'session-secret'), stack.sessionSecret);
});
after(async () => {
  rmSync(files, { recursive: true });
  await stack.close();
});

// Makes a short run with 5 readers; returns its exit code and output. Each sender sends few messages, so the gate passes all.
function load(streamId, keyring) {
  const options = {
    port: new URL(stack.url).port, stream: streamId, keyring, 'session-secret': join(files, 'session-secret'),
    rate: 100, seconds: 1, warmup: 0.2, connections: 4, senders: 120, subscribers: 5,
  };
  const parameters = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return new Promise((resolve) => {
    execFile(loadGenerator, parameters, (error, stdout, stderr) => {
      assert.equal(stderr, '');
      resolve({ code: error?.code ?? 0, result: JSON.parse(stdout) });
    });
  });
}

test('every accepted message is stored, and every reader gets it once', async () => {
  const streamId = await stack.stream();
  const { code, result } = await load(streamId, stack.keyring);
  assert.equal(code, 0, JSON.stringify(result));
  assert.deepEqual(Object.keys(result.statuses), ['200']);
  assert.deepEqual([result.forged, result.lost, result.unanswered], [0, 0, 0]);
  assert.equal(result.accepted, (await stack.stored(streamId)).length);
  const { count, missing, gaps, duplicates, forged, ended } = result.subscribers;
  assert.deepEqual({ count, missing, gaps, duplicates, forged, ended }, {
    count: 5, missing: 0, gaps: 0, duplicates: 0, forged: 0, ended: 0,
  });
});

test('an answer or frame signed by an unknown key counts as forged', async () => {
  const keyring = join(files, 'keyring');
  mkdirSync(keyring);
  writeFileSync(join(keyring, 'k1'), 'another-key-than-the-stack-has-0123456789');
  const { code, result } = await load(await stack.stream(), keyring);
  assert.equal(code, 1);
  assert.equal(result.forged, result.accepted);
  assert.equal(result.subscribers.forged, result.accepted);
  assert.equal(result.subscribers.missing, 0);
});
