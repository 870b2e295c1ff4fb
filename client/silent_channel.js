// Notices that a channel of an outside service brings nothing although the stream has new messages. Joining the wrong
// channel often succeeds: Supabase has a private and a public channel of each topic, Ably makes a channel of any name, and
// Mosquitto grants a subscription whose messages its rules withhold. Then the reader is slow, but gets no error.
//
// Only messages that the history has for this channel count, so a sampled stream is no reason. A message that is older than
// the connection does not count either, nor does one whose frame may still be under way: several checks must find one.
const CHECKS = 2;

export class SilentChannel {
  #newest = null; // the newest offset that the channel need not bring any more; null until the history was read
  #checks = 0; // the checks since the last frame that found newer messages
  #checking = false; // a check is due, and has found no newer message yet

  // The channel was joined: it brings what is sent from now on.
  joined() {
    this.#newest = null;
    this.#checks = 0;
    this.#checking = false;
  }

  brought({ offset }) {
    this.#newest = Math.max(this.#newest, offset);
    this.#checks = 0;
    this.#checking = false;
  }

  // The history is read because no frame came for some time.
  check() {
    this.#checking = true;
  }

  // Takes a page of the history. Returns whether this page shows that the channel is silent; once per silence.
  read({ messages, last }) {
    this.#newest = Math.min(this.#newest ?? last, last); // another epoch of the log may have smaller offsets
    const { offset } = messages.at(-1) ?? { offset: 0 };
    if (offset <= this.#newest) return false;
    this.#newest = offset;
    if (!this.#checking) return false;
    this.#checking = false;
    return ++this.#checks === CHECKS;
  }
}
