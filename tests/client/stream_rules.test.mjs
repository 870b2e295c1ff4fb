// How the rules that are read and the messages stream_rules are put in order, without a server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SealcastError } from '../../client/index.js';
import { StreamRules } from '../../client/stream_rules.js';
import { SYSTEM_SENDER } from '../../client/system_messages.js';

const slow = (seconds) => ({ slow_mode_s: seconds, senders: 'everyone', types: null });
const change = (offset, seconds, s = SYSTEM_SENDER) => ({ offset, envelope: { t: 'stream_rules', s, d: slow(seconds) } });

// A StreamRules whose answers the test gives: answer(through, seconds), or answer(null, error).
function followed() {
  const [shown, failed, waiting] = [[], [], []];
  const stop = new AbortController();
  let given;
  const rules = new StreamRules(
    {
      ready: Promise.resolve(),
      last: () => new Promise((resolve) => waiting.push(resolve)),
      rules: async () => {
        if (given instanceof Error) throw given;
        return slow(given);
      },
      reconnect: { baseMs: 1, capMs: 1, spreadMs: 1 },
      signal: stop.signal,
    },
    { show: ({ slow_mode_s }) => shown.push(slow_mode_s), failed: ({ code }) => failed.push(code) },
  );
  const asked = async () => {
    while (waiting.length === 0) await turn();
    return waiting.shift();
  };
  const answer = async (through, what) => {
    given = what;
    (await asked())(through);
    await turn();
  };
  return { rules, shown, failed, answer, asked, stop };
}

test('messages that the rules which were read include are left out, and later ones are shown', async () => {
  const { rules, shown, answer } = followed();
  await answer(7, 30);
  for (const frame of [change(3, 10), change(7, 30), change(8, 60), change(9, 90, 'a user'), { offset: 10, envelope: { t: 'chat', s: SYSTEM_SENDER, d: {} } }]) {
    rules.handle(frame);
  }
  assert.deepEqual(shown, [30, 60]);
});

test('a message that arrives while the rules are read waits, and replaces the rules that were read if it is newer', async () => {
  for (const [offset, expected] of [[8, [60]], [7, [30]]]) {
    const { rules, shown, answer } = followed();
    rules.handle(change(offset, 60));
    assert.deepEqual(shown, []);
    await answer(7, 30);
    assert.deepEqual(shown, expected);
  }
});

test('rules are read again after missed messages, and only the newest answer counts', async () => {
  const { rules, shown, answer, asked } = followed();
  await answer(7, 30);
  rules.read();
  const old = await asked();
  rules.rewound();
  await answer(2, 10);
  old(9);
  await turn();
  rules.handle(change(3, 20));
  assert.deepEqual(shown, [30, 10, 20]);
});

test('a failure is retried, and after a refusal the messages alone count', async () => {
  const { rules, shown, failed, answer } = followed();
  await answer(0, new SealcastError('database_unavailable', 'm', { status: 503 }));
  await answer(0, new SealcastError('not_found', 'm', { status: 404 }));
  rules.handle(change(1, 5));
  assert.deepEqual(shown, [5]);
  assert.deepEqual(failed, ['database_unavailable', 'not_found']);
});
