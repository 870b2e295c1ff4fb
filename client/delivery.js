// Hands the messages of one subscription to the application: verifies them, leaves out the content that was redacted
// meanwhile, and calls the handler and onRedacted, one call after the other.
import { failure } from './errors.js';
import { OwnMessages } from './own_messages.js';
import { covers, redactionOf, Redactions, withoutContent } from './redactions.js';
import { isRedacted } from './verify_envelope.js';

const MAX_UNVERIFIED = 100; // redactions that are verified before their turn, at once

export class Delivery {
  #streamId;
  #handler;
  #verifier;
  #sequencer;
  #signal;
  #hooks;
  #ownMessages;
  #redactions = new Redactions();
  #unverified = new Set(); // {redaction, verdict}; verdict: resolves when it is known whether the redaction counts
  #calls = Promise.resolve(); // the last call of the handler or of onRedacted

  // `verifier`: a FrameVerifier, or null. `showOwn`: whether to show the user's messages that a chat storm leaves out. After
  // `signal` is aborted nothing is called. Hooks: failed(error); redacted(news) when messages that the handler got were
  // redacted, which is awaited.
  constructor({ streamId, handler, verifier, sequencer, showOwn, signal }, hooks) {
    this.#streamId = streamId.toLowerCase();
    this.#handler = handler;
    this.#verifier = verifier;
    this.#sequencer = sequencer;
    this.#signal = signal;
    this.#hooks = hooks;
    const show = (envelope) => this.#hand({ offset: null, prev: null, envelope });
    this.#ownMessages = showOwn ? new OwnMessages(show) : null;
  }

  // To be called before the request for each message that this client sends.
  sent(txnId) {
    this.#ownMessages?.sent(txnId);
  }

  // To be called with the answer to sendMessage().
  sealed(envelope) {
    this.#ownMessages?.sealed(envelope);
    this.#ownMessages?.redact((own) => this.#redactions.find({ offset: null, envelope: own }) !== undefined);
  }

  // To be called with the sampling rate that held when the subscription began, if no frame brings it.
  setRate(rate) {
    this.#ownMessages?.setRate(rate);
  }

  // To be called with each frame when the sequencer got it, before its turn. A redaction counts from then on: messages before
  // it may be late, and may come with their content from another transport.
  arrived(frame) {
    const redaction = this.#redactionIn(frame);
    if (!redaction) this.#forgetContent(frame, frame.envelope && this.#redactions.find(frame));
    else if (frame.offset <= this.#sequencer.offset) return;
    else if (this.#verifier) this.#verifyEarly(frame, redaction);
    else this.#apply(redaction, this.#sequencer.offset);
  }

  // To be called when the message has its turn, and before anything is done because of it. Resolves with whether it is valid.
  async accepts(frame) {
    if (this.#verifier && !(await this.#verifier.verified(frame))) return false;
    const redaction = this.#redactionIn(frame);
    if (redaction) this.#apply(redaction, frame.offset);
    return true;
  }

  // Hands over a message that has its turn.
  async deliver(frame) {
    if (this.#ownMessages?.isNew(frame.envelope) ?? true) await this.#hand(frame);
  }

  // Resolves with frames that the application asked for, without the content that is known to be redacted.
  async withoutRedacted(frames) {
    let result = frames;
    while (result.some((frame) => this.#change(frame))) {
      result = await Promise.all(result.map((frame) => this.#change(frame) ?? frame));
    }
    return result;
  }

  rewound({ offset }) {
    this.#ownMessages?.forget();
    this.#redactions.rewound(offset);
  }

  // Own messages without a frame are handed over too, so the sequencer alone cannot keep the calls apart.
  #hand(frame) {
    return this.call(async () => {
      let form = frame;
      // No await between the last check and the call.
      for (let change; (change = this.#change(form)); ) form = await change;
      if (this.#signal.aborted) return;
      this.#redactions.handed(form);
      try {
        await this.#handler(form);
      } catch (error) {
        this.#hooks.failed(failure('handler_failed', `the handler failed at offset ${frame.offset}`, error));
      }
    });
  }

  // Calls action() when the earlier calls of the application are done.
  call(action) {
    return (this.#calls = this.#calls.then(() => (this.#signal.aborted ? undefined : action())));
  }

  // Returns null when the frame may be handed over as it is, or else a promise of what to look at instead.
  #change(frame) {
    const { envelope } = frame;
    if (!envelope || isRedacted(envelope)) return null;
    const redaction = this.#redactions.find(frame);
    if (redaction) return withoutContent(frame, redaction);
    const pending = [...this.#unverified].find((each) => covers(each.redaction, frame));
    return pending ? pending.verdict.then(() => frame) : null;
  }

  #redactionIn(frame) {
    return frame.envelope?.stream_id === this.#streamId ? redactionOf(frame) : null;
  }

  #verifyEarly(frame, redaction) {
    if (this.#unverified.size >= MAX_UNVERIFIED) return;
    const pending = { redaction };
    pending.verdict = this.#verifier.verified(frame).then((valid) => {
      this.#unverified.delete(pending);
      if (valid) this.#apply(redaction, this.#sequencer.offset);
    });
    this.#unverified.add(pending);
  }

  // `through`: the handler is done with the messages up to this offset.
  #apply(redaction, through) {
    if (this.#redactions.add(redaction)) {
      for (const frame of this.#sequencer.held) {
        if (frame.envelope && covers(redaction, frame)) this.#forgetContent(frame, redaction);
      }
      this.#ownMessages?.redact((envelope) => covers(redaction, { offset: null, envelope }));
    }
    const news = this.#redactions.takeNews(redaction, through);
    if (news) this.call(() => this.#hooks.redacted(news));
  }

  async #forgetContent(frame, redaction) {
    if (!redaction || isRedacted(frame.envelope)) return;
    const form = await withoutContent(frame, redaction);
    // Without its hash the frame could not be verified in its turn. Then its content is left out when it is handed over.
    if (!this.#verifier || form.envelope.payload_hash) this.#sequencer.replaceHeld(frame, form);
  }
}
