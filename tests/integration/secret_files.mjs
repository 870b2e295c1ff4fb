// Files with secrets that tests replace, and the lines of the log about them.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { message, send } from './http.mjs';
import { until } from './waiting.mjs';

export const OLD = 'old-password-of-the-tests';
export const READ_AGAIN = 'a secret file was read again';

// Replaces a file of the stack at once, as an operator should. Returns its path.
export function write(stack, name, text) {
  const path = join(stack.directory, name);
  writeFileSync(`${path}.new`, text, { mode: 0o644 });
  renameSync(`${path}.new`, path);
  return path;
}

// The number of lines in the log of a process that have all these parts.
export const lines = ({ log }, ...parts) => log.filter((line) => parts.every((part) => line.includes(part))).length;

const sends = async (stack, { url }, room) => (await send(url, stack.user(), message(room))).status === 200;
export const accepts = (...of) => until('a message is accepted', () => sends(...of));
export const refuses = (...of) => until('a message is refused', async () => !(await sends(...of)));
