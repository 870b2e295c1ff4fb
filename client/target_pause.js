// Remembers the target of transport_migrate that refused a reader, and how long repeats of the message are not
// followed. Without a pause, all refused readers would connect at every repeat.
import { backoff } from './backoff.js';

const FLOOR_MS = 5000;
const PAUSES = { baseMs: 20_000, capMs: 300_000 };

export class TargetPause {
  #target = null;
  #attempts = 0; // failed ones
  #until = 0; // ms since 1970

  // Whether this announcement is followed. Another target is another migration, which begins without a pause.
  allows(target) {
    if (target !== this.#target) this.clear();
    return Date.now() >= this.#until;
  }

  failed(target) {
    if (target !== this.#target) this.clear();
    this.#target = target;
    this.#until = Date.now() + backoff(this.#attempts++, PAUSES, FLOOR_MS);
  }

  clear() {
    this.#target = null;
    this.#attempts = this.#until = 0;
  }
}
