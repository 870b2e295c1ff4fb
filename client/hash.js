// A number that spreads things evenly, the same for everybody.
import { failure } from './errors.js';

// The first 8 bytes, big-endian, of SHA-256 over the text.
export async function hashNumber(text) {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) throw failure('no_webcrypto', 'crypto.subtle is missing: the page needs HTTPS, or Node.js 20');
  const digest = await subtle.digest('SHA-256', new TextEncoder().encode(text));
  return new DataView(digest).getBigUint64(0);
}
