// SHA-256 through WebCrypto, which browsers and Node.js have, and bytes as hexadecimal text.
import { failure } from './errors.js';

export function subtleCrypto() {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) throw failure('no_webcrypto', 'crypto.subtle is missing; serve the page over HTTPS, or use Node.js 20');
  return subtle;
}

export async function sha256(text) {
  return new Uint8Array(await subtleCrypto().digest('SHA-256', new TextEncoder().encode(text)));
}

// An evenly distributed number: the first 8 bytes of the text's SHA-256, big-endian. The server calculates the same.
export async function hashNumber(text) {
  return new DataView((await sha256(text)).buffer).getBigUint64(0);
}

export const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
