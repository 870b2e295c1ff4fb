// One's own messages, where a chat storm leaves them out of the public channel: their sender sees them all the same
// (../docs/sampling.md). Frames come in the order of offsets, sampling_update among them.
import { isSampled, tierOf } from './sampling.js';

const REMEMBERED = 500;
const ALL = 100;

export class Echo {
  #show;
  #rate = ALL;
  #own = new Map(); // txn_id → {envelope, rate, seen}, oldest first

  // show(envelope) is called once for a message of which no frame will come.
  constructor(show) {
    this.#show = show;
  }

  // A message is on its way. Its frame may come before the answer, and after a rate that was in effect meanwhile.
  sent(txnId) {
    if (this.#own.has(txnId)) return;
    this.#own.set(txnId, { envelope: null, rate: this.#rate, seen: false });
    if (this.#own.size > REMEMBERED) this.#own.delete(this.#own.keys().next().value);
  }

  // The answer.
  sealed(envelope) {
    const message = this.#own.get(envelope.txn_id);
    if (!message) return;
    message.envelope = envelope;
    this.#consider(message);
  }

  // Whether the handler has yet to see what a frame brings.
  isNew({ t, d, s, txn_id: txnId }) {
    if (t === 'sampling_update') this.#sample(d.rate);
    const message = this.#own.get(txnId);
    if (!message || (message.envelope && message.envelope.s !== s)) return true;
    const first = !message.seen;
    message.seen = true;
    return first;
  }

  // The stream was set back: frames come again.
  forget() {
    this.#own.clear();
  }

  #sample(rate) {
    this.#rate = Number.isFinite(rate) ? rate : ALL;
    for (const message of this.#own.values()) {
      message.rate = Math.min(message.rate, this.#rate);
      this.#consider(message);
    }
  }

  async #consider(message) {
    const { envelope, rate } = message;
    if (message.seen || !envelope || rate >= ALL || tierOf(envelope) < 2) return;
    // Without crypto.subtle nobody can tell; a frame that comes after all is not shown again.
    const comes = await isSampled(envelope.s, envelope.stream_id, rate).catch(() => false);
    if (comes || message.seen) return;
    message.seen = true;
    this.#show(envelope);
  }
}
