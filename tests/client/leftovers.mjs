// What a test opened is closed when it ends, also when it fails: else its process would not end.
import { afterEach } from 'node:test';
import { within } from '../integration/waiting.mjs';

const open = new Set();

afterEach(async () => {
  const closers = [...open];
  open.clear();
  for (const close of closers) await within('what the test left is closed', close());
});

// Registers a way to close something; it may be closed already.
export function closeAtEnd(close) {
  open.add(close);
}
