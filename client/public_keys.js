// Reads and caches the public keys for verifying envelopes. They come from the server, or from the application ("pinned").
import { failure } from './errors.js';
import { subtleCrypto } from './hash.js';

const MIN_PAUSE_MS = 1000; // between two requests, however many unknown kids are asked for
const REFRESH_MS = 240_000; // older keys are requested again, and stay in use until the answer comes
const EXPIRY_MS = 300_000; // older keys are not used, so a removed key expires even when the request fails

export class PublicKeys {
  #read;
  #known = null; // kid → CryptoKey
  #readAt; // the time of the request that gave #known; Infinity for pinned keys
  #last; // promise of the newest request
  #nextAt; // the earliest time of the next request

  // read({ fresh }) resolves with a JSON Web Key Set; `fresh` asks it to bypass caches. `pinned` is a JSON Web Key Set
  // that is used instead of read().
  constructor(read, pinned) {
    this.#read = read;
    this.#nextAt = pinned ? Infinity : -Infinity;
    if (pinned) this.#store(Promise.resolve(pinned), Infinity).catch(() => {}); // find() reports the error
  }

  // Resolves with the CryptoKey of the kid, or with undefined when there is none. Rejects when the keys cannot be read.
  async find(kid) {
    const age = performance.now() - this.#readAt;
    if (!this.#known?.has(kid) || age >= EXPIRY_MS) await this.#refresh();
    else if (age >= REFRESH_MS) this.#refresh().catch(() => {});
    return this.#known.get(kid);
  }

  // Before #nextAt it returns the result of the last request.
  #refresh() {
    if (performance.now() < this.#nextAt) return this.#last;
    this.#nextAt = Infinity;
    const allowNext = () => (this.#nextAt = performance.now() + MIN_PAUSE_MS);
    return this.#store(this.#read({ fresh: this.#known !== null }).finally(allowNext), performance.now());
  }

  #store(keySet, readAt) {
    const store = (known) => {
      this.#known = known;
      this.#readAt = readAt;
    };
    return (this.#last = keySet.then(importAll).then(store));
  }
}

async function importAll({ keys }) {
  const subtle = subtleCrypto();
  const known = new Map();
  for (const { kty, crv, kid, x } of keys) {
    // Only Ed25519 keys are used. The envelope cannot choose the algorithm.
    if (kty !== 'OKP' || crv !== 'Ed25519' || typeof kid !== 'string') continue;
    try {
      known.set(kid, await subtle.importKey('jwk', { kty, crv, x }, 'Ed25519', false, ['verify']));
    } catch (error) {
      if (error.name !== 'NotSupportedError') throw failure('unexpected_answer', `the public key ${kid} is invalid`, error);
      throw failure('no_ed25519', 'this browser cannot verify Ed25519; use verify: true to ask the server', error);
    }
  }
  return known;
}
