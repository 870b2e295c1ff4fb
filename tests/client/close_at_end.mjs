// Closes what a test has opened, also when the test fails. Otherwise the test's process would not end.
import { afterEach } from 'node:test';
import { within } from '../integration/waiting.mjs';

const open = new Set();

afterEach(async () => {
  const closers = [...open];
  open.clear();
  for (const close of closers) await within('the test closes what it has opened', close());
});

// Registers a function that closes something. It is called at the end of the test, so it must allow a second call.
export function closeAtEnd(close) {
  open.add(close);
}
