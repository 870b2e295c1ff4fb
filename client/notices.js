// Follows the notices to the user of a subscription, and tells when a restriction comes to its end. A notice states how things
// are, so a repeated one changes nothing.
import { isSystemMessage, SYSTEM_SENDER } from './system_messages.js';
import { startTimer } from './timers.js';

const ENDED = { muted: 'unmuted', banned: 'unbanned' };

export class Notices {
  #streamId;
  #verified;
  #hooks;
  #signal;
  #turn = Promise.resolve(); // notices are verified and shown one after the other
  #timers = new Map(); // stream and kind of a restriction → function that stops its timer

  // verified(envelope) resolves with whether the notice may be shown. Hooks: show(notice). After `signal` is aborted nothing
  // is shown.
  constructor({ streamId, verified, signal }, hooks) {
    this.#streamId = streamId.toLowerCase();
    this.#verified = verified;
    this.#signal = signal;
    this.#hooks = hooks;
    signal.addEventListener('abort', () => this.#timers.forEach((stop) => stop()));
  }

  // To be called with each envelope that the transport brings as a notice.
  handle(envelope) {
    const arrived = Date.now();
    this.#turn = this.#turn.then(async () => {
      const { stream_id: streamId } = envelope ?? {};
      const isOurs = streamId === this.#streamId || streamId === SYSTEM_SENDER; // the nil UUID: all streams
      if (!envelope?.d || !isSystemMessage(envelope, 'user_notice') || !isOurs) return;
      if (!(await this.#verified(envelope)) || this.#signal.aborted) return;
      const { kind, stream_id, user_id, until, reason, role } = envelope.d;
      const notice = { kind, streamId: stream_id, userId: user_id, until, reason, role, ended: false, envelope };
      this.#hooks.show(notice);
      // By the server's clock: that of this machine may be wrong.
      this.#await(notice, until === null ? Infinity : arrived + until - envelope.ts);
    });
  }

  #await(notice, end) {
    if (this.#signal.aborted) return; // the handler of the notice has closed the subscription
    const { kind, streamId } = notice;
    const over = ENDED[kind];
    if (!over && !Object.values(ENDED).includes(kind)) return;
    const key = `${streamId} ${over ?? kind}`;
    this.#timers.get(key)?.();
    this.#timers.delete(key);
    if (!over || end === Infinity) return;
    const wait = () => {
      const stop = startTimer(end - Date.now(), () => {
        if (Date.now() < end) return wait(); // a timer does not wait for months
        this.#timers.delete(key);
        this.#hooks.show({ ...notice, kind: over, until: null, reason: null, ended: true });
      });
      this.#timers.set(key, stop);
    };
    wait();
  }
}
