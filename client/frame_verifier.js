// Verifies the envelopes of a subscription's frames, before anything is done because of them.
import { pauseBeforeRetry } from './backoff.js';
import { failure, SealcastError } from './errors.js';

const CANNOT_VERIFY = ['no_webcrypto', 'no_ed25519'];
const VALID = ['ok', 'redacted'];

export class FrameVerifier {
  #verify;
  #streamId;
  #options;
  #hooks;
  #results = new WeakMap(); // frame → promise of verified()

  // verify(envelope) resolves with a result of verify(). Hooks: onError(error), and onFatal(error) when verifying is
  // impossible. `signal` ends the attempts.
  constructor(verify, streamId, { reconnect, signal }, hooks) {
    this.#verify = verify;
    this.#streamId = streamId.toLowerCase();
    this.#options = { reconnect, signal };
    this.#hooks = hooks;
  }

  // Resolves with whether the envelope is sealed for this stream. Each frame is verified once, however often it is asked for.
  verified(frame) {
    if (!this.#results.has(frame)) this.#results.set(frame, this.#run(frame));
    return this.#results.get(frame);
  }

  async #run(frame) {
    const { reconnect, signal } = this.#options;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        let result = await this.#verify(frame.envelope);
        // An envelope of another stream has a valid signature too, but does not belong here.
        if (VALID.includes(result) && frame.envelope.stream_id !== this.#streamId) result = 'wrong_stream';
        if (VALID.includes(result)) return true;
        const place = frame.offset === undefined ? 'of a notice' : `at offset ${frame.offset}`;
        const message = `the envelope ${place} does not verify: ${result}`;
        this.#hooks.onError(Object.assign(failure('unverified', message), { frame }));
        return false;
      } catch (error) {
        const foreign = error.code === 'unexpected_answer' && !error.retryable;
        if (foreign || CANNOT_VERIFY.includes(error.code)) this.#hooks.onFatal(error);
        else if (!signal.aborted) this.#hooks.onError(error);
        if (error instanceof SealcastError && !error.retryable) return false;
        await pauseBeforeRetry(attempt, reconnect, error.retryAfterMs, signal);
      }
    }
    return false;
  }
}
