// Pauses after each failed attempt to follow a transport_migrate, and then has the reader try again: nobody tells it a
// second time. Without a pause, all readers that the target refuses would connect again at once.
import { backoff } from './backoff.js';
import { startTimer } from './timers.js';

const FLOOR_MS = 5000;
const PAUSES = { baseMs: 20_000, capMs: 300_000 };

export class TargetPause {
  #target = null;
  #attempts = 0; // failed ones
  #until = 0; // ms since 1970
  #stopTimer = () => {};

  // Whether a transport_migrate to this target is followed now. Another target is another migration, which begins without
  // a pause.
  allows(target) {
    if (target !== this.#target) this.clear();
    return Date.now() >= this.#until;
  }

  // Calls again() after the pause, unless clear() is called before.
  failed(target, again) {
    if (target !== this.#target) this.clear();
    this.#target = target;
    const ms = backoff(this.#attempts++, PAUSES, FLOOR_MS);
    this.#until = Date.now() + ms;
    this.#stopTimer();
    this.#stopTimer = startTimer(ms, () => {
      this.#until = 0; // the clock may differ from the timer
      again();
    });
  }

  clear() {
    this.#stopTimer();
    this.#target = null;
    this.#attempts = this.#until = 0;
  }
}
