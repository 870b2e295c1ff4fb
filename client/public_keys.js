// The public keys that envelopes are verified with: the server's, read when they are needed, or the application's own.
import { failure } from './errors.js';
import { subtleCrypto } from './hash.js';

const AGAIN_MS = 1000; // between two readings, however many kids are unknown
const REFRESH_MS = 240_000; // from then on they are read anew, and what is known counts meanwhile
const END_MS = 300_000; // by then a key that was taken away counts no more, whether or not they could be read

export class PublicKeys {
  #read;
  #known = null; // kid → CryptoKey
  #readAt; // when they were asked for; pinned ones are never old
  #last; // the last reading, under way or what came of it
  #next; // when another may begin

  // read({ fresh }) resolves with a JSON Web Key Set, fresh: from no cache on the way. `pinned` is one, never read again.
  constructor(read, pinned) {
    this.#read = read;
    this.#next = pinned ? Infinity : -Infinity;
    if (pinned) this.#take(Promise.resolve(pinned), Infinity).catch(() => {}); // find() tells it
  }

  // The CryptoKey of that kid; undefined when there is none. Rejects when nobody can tell.
  async find(kid) {
    const age = performance.now() - this.#readAt;
    if (!this.#known?.has(kid) || age >= END_MS) await this.#again();
    else if (age >= REFRESH_MS) this.#again().catch(() => {});
    return this.#known.get(kid);
  }

  // Who asks too soon gets what the last reading came to.
  #again() {
    if (performance.now() < this.#next) return this.#last;
    this.#next = Infinity;
    const again = () => (this.#next = performance.now() + AGAIN_MS);
    return this.#take(this.#read({ fresh: this.#known !== null }).finally(again), performance.now());
  }

  #take(keySet, readAt) {
    const take = (known) => {
      this.#known = known;
      this.#readAt = readAt;
    };
    return (this.#last = keySet.then(importAll).then(take));
  }
}

async function importAll({ keys } = {}) {
  if (!Array.isArray(keys)) throw failure('unexpected_answer', 'the public keys are no JSON Web Key Set');
  const subtle = subtleCrypto();
  const known = new Map();
  for (const { kty, crv, kid, x } of keys) {
    // Another kind of key is for others; what an envelope says chooses none.
    if (kty !== 'OKP' || crv !== 'Ed25519' || typeof kid !== 'string') continue;
    try {
      known.set(kid, await subtle.importKey('jwk', { kty, crv, x }, 'Ed25519', false, ['verify']));
    } catch (error) {
      if (error.name !== 'NotSupportedError') throw failure('unexpected_answer', `the public key ${kid} is none`, error);
      throw failure('no_ed25519', 'this browser cannot verify Ed25519 signatures; ask the server: verify: true', error);
    }
  }
  return known;
}
