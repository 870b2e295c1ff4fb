// Shows users their own messages that a chat storm leaves out of the public channel (../docs/sampling.md). A message that
// will get no frame is shown once, from the answer to sendMessage(). Frames, including those of sampling_update, must be
// passed in the order of their offsets.
import { isSampled, tierOf } from './sampling.js';
import { isRedacted } from './verify_envelope.js';

const MAX_REMEMBERED = 500; // messages
const ALL = 100; // percent

export class OwnMessages {
  #show;
  #rate = ALL;
  #messages = new Map(); // txn_id → {envelope, rate, shown}, oldest first; rate: the lowest since sent()

  // show(envelope) is called once for each own message that will get no frame, and that is not redacted before.
  constructor(show) {
    this.#show = show;
  }

  // To be called before the request: the frame may come before the answer, and the rate may change in between.
  sent(txnId) {
    if (this.#messages.has(txnId)) return;
    this.#messages.set(txnId, { envelope: null, rate: this.#rate, shown: false });
    if (this.#messages.size > MAX_REMEMBERED) this.#messages.delete(this.#messages.keys().next().value);
  }

  // To be called with the answer to sendMessage().
  sealed(envelope) {
    const message = this.#messages.get(envelope.txn_id);
    if (!message) return;
    message.envelope = envelope;
    this.#showIfLeftOut(message);
  }

  // Forgets the content of the envelopes for which isAffected(envelope) is true.
  redact(isAffected) {
    for (const message of this.#messages.values()) {
      const { envelope } = message;
      if (envelope && isAffected(envelope)) message.envelope = { ...envelope, d: null }; // the application has the same object
    }
  }

  // Whether the handler has not seen this frame's message yet.
  isNew({ t, d, s, txn_id: txnId }) {
    if (t === 'sampling_update') this.setRate(d?.rate);
    const message = this.#messages.get(txnId);
    if (!message || (message.envelope && message.envelope.s !== s)) return true;
    const first = !message.shown;
    message.shown = true;
    return first;
  }

  // To be called with the rate of a sampling_update that brings no frame here, because it is older than the subscription.
  setRate(rate) {
    this.#rate = Number.isFinite(rate) ? rate : ALL;
    for (const message of this.#messages.values()) {
      message.rate = Math.min(message.rate, this.#rate);
      this.#showIfLeftOut(message);
    }
  }

  // To be called when the stream was rewound: its frames come again, and the handler must get them again.
  forget() {
    this.#messages.clear();
  }

  async #showIfLeftOut(message) {
    const { envelope, rate } = message;
    if (message.shown || !envelope || isRedacted(envelope) || rate >= ALL || tierOf(envelope) < 2) return;
    // Without crypto.subtle the bucket is unknown. Then the message is shown now, and isNew() suppresses a later frame.
    const getsFrame = await isSampled(envelope.s, envelope.stream_id, rate).catch(() => false);
    if (getsFrame || message.shown) return;
    message.shown = true;
    this.#show(envelope);
  }
}
