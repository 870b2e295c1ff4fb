// Follows the rules of a stream: reads those in force, and then takes each change from the message stream_rules. A message
// whose change the rules that were read have already is left out, so an old message of the history changes nothing.
import { pauseBeforeRetry } from './backoff.js';
import { isSystemMessage } from './system_messages.js';

export class StreamRules {
  #source;
  #hooks;
  #through = null; // the rules that were read have every change up to this offset; null while they are being read
  #newest = null; // the newest stream_rules frame
  #reading = 0; // counts the calls of read()

  // `source`: {ready, last(), rules(), reconnect, signal}; after `ready`, each change reaches handle(). Hooks: show(rules) with
  // the rules in force and with each change; failed(error).
  constructor(source, hooks) {
    this.#source = source;
    this.#hooks = hooks;
    this.read();
  }

  // Reads the rules. To be called again when messages were missed.
  async read() {
    const reading = ++this.#reading;
    this.#through = null;
    const { through, rules } = await this.#inForce();
    if (reading !== this.#reading) return;
    this.#through = through;
    if (this.#newest?.offset > through) this.#hooks.show(this.#newest.envelope.d);
    else if (rules) this.#hooks.show(rules);
  }

  // To be called with each frame in its turn.
  handle(frame) {
    if (!isSystemMessage(frame.envelope, 'stream_rules')) return;
    this.#newest = frame;
    if (this.#through !== null && frame.offset > this.#through) this.#hooks.show(frame.envelope.d);
  }

  // To be called when the stream was set back, so that messages come again.
  rewound() {
    this.#newest = null;
    this.read();
  }

  // The newest offset is read before the rules, so the rules have each change up to it.
  async #inForce() {
    const { ready, last, rules, reconnect, signal } = this.#source;
    await ready.catch(() => {});
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        return { through: await last(), rules: await rules() };
      } catch (error) {
        if (!signal.aborted) this.#hooks.failed(error);
        if (!error.retryable) break;
        await pauseBeforeRetry(attempt, reconnect, error.retryAfterMs, signal);
      }
    }
    return { through: 0, rules: null };
  }
}
