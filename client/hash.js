// SHA-256, as browsers and Node.js have it.
import { failure } from './errors.js';

export function subtleCrypto() {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) throw failure('no_webcrypto', 'crypto.subtle is missing: the page needs HTTPS, or Node.js 20');
  return subtle;
}

export async function sha256(text) {
  return new Uint8Array(await subtleCrypto().digest('SHA-256', new TextEncoder().encode(text)));
}

// A number that spreads things evenly, the same for everybody: the first 8 bytes, big-endian, of SHA-256 over the text.
export async function hashNumber(text) {
  return new DataView((await sha256(text)).buffer).getBigUint64(0);
}
