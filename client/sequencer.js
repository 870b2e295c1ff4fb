// Puts a stream's frames in order: whatever transports bring, in whatever order and how often, the reader gets each
// offset once, ascending, one at a time. What is missing is read from the history; what retention has dropped is told.
//
// A frame's `prev` is the offset of the frame before it on its channel (docs/delivery.md). So the frames that are held
// form a chain from the last one delivered, as far as each one's prev is reached. Where it breaks, there is a gap.
import { backoff, pause } from './backoff.js';

export class Sequencer {
  #deliver;
  #dropped;
  #rewound;
  #history;
  #trouble;
  #limits;
  #stop = new AbortController();

  #taken = null; // the last offset given to deliver(); null until start()
  #done = null; // the last offset that deliver() is finished with
  #held = []; // ascending by offset; an entry with `dropped` stands for what retention took up to its offset
  #target = 0; // a higher offset is known to exist
  #asked = 0; // questions for what is newer than all that is held
  #answered = 0;
  #epoch = 0; // of offsets: rewind() begins another
  #setBack = null; // to be told before anything else is delivered
  #delivering = false;
  #filling = false;
  #retryAfterMs = null; // of the history's last refusal

  // deliver(frame), dropped({from, to}) and rewound({offset}) are awaited. history({after, before, limit, signal})
  // resolves with {messages, first, last}. trouble(error) is told when the history does not answer.
  constructor({ deliver, dropped, rewound, history, trouble, ...limits }) {
    const { maxHeld = 1000, pageSize = 200, patienceMs = 150, reconnect } = limits;
    this.#deliver = deliver;
    this.#dropped = dropped;
    this.#rewound = rewound;
    this.#history = history;
    this.#trouble = trouble;
    this.#limits = { maxHeld, pageSize: Math.min(pageSize, maxHeld), patienceMs, reconnect };
  }

  get started() {
    return this.#taken !== null;
  }

  // The last offset that was handled, or null.
  get offset() {
    return this.#done;
  }

  // Delivery begins after this offset.
  start(offset) {
    if (this.started) return;
    this.#taken = this.#done = offset;
    this.#proceed();
  }

  push(frame) {
    this.#hold(frame);
    this.#proceed();
  }

  // There may be newer messages than any frame has told of.
  catchUp() {
    this.#asked++;
    this.#proceed();
  }

  // At least this offset exists.
  expect(offset) {
    this.#target = Math.max(this.#target, offset);
    this.#proceed();
  }

  // The stream was set back to this offset: what follows has offsets that were given before.
  rewind(offset) {
    this.#epoch++;
    this.#held = [];
    this.#setBack = { offset };
    this.#target = this.#taken = this.#done = offset;
    this.#proceed();
  }

  close() {
    this.#stop.abort();
    this.#held = [];
  }

  get #closed() {
    return this.#stop.signal.aborted;
  }

  #proceed() {
    if (this.#closed || !this.started) return;
    if (!this.#delivering) this.#deliverAll();
    if (!this.#filling) this.#fill();
  }

  // Keeps the frame in its place. When there is no room the highest goes: the history has it.
  #hold(frame) {
    if (this.started && frame.offset <= this.#taken) return;
    const held = this.#held;
    let at = held.length;
    while (at > 0 && held[at - 1].offset > frame.offset) at--;
    if (at > 0 && held[at - 1].offset === frame.offset) return;
    held.splice(at, 0, frame);
    if (held.length > this.#limits.maxHeld) this.#target = Math.max(this.#target, held.pop().offset);
  }

  async #deliverAll() {
    this.#delivering = true;
    for (let next; !this.#closed && (next = this.#next()); ) {
      const epoch = this.#epoch;
      const from = this.#taken + 1;
      this.#taken = next.offset;
      if (next === this.#setBack) await this.#tellRewind();
      else if (next.dropped) await this.#dropped({ from, to: next.offset });
      else await this.#deliver(next);
      if (epoch === this.#epoch) this.#done = next.offset;
      if (!this.#filling) this.#fill(); // there is room again
    }
    this.#delivering = false;
  }

  #next() {
    if (this.#setBack) return this.#setBack;
    while (this.#held.length > 0 && this.#held[0].offset <= this.#taken) this.#held.shift();
    return this.#held.length > 0 && this.#held[0].prev <= this.#taken ? this.#held.shift() : null;
  }

  #tellRewind() {
    const { offset } = this.#setBack;
    this.#setBack = null;
    return this.#rewound({ offset });
  }

  // How far the chain reaches, of how many frames it is, and the frame behind the first gap.
  #survey() {
    let reach = this.#taken;
    let length = 0;
    for (const frame of this.#held) {
      if (frame.prev > reach) return { reach, length, gap: frame };
      reach = Math.max(reach, frame.offset);
      length++;
    }
    return { reach, length, gap: null };
  }

  // Reads from the history until nothing is known to be missing, as far as there is room.
  async #fill() {
    this.#filling = true;
    let patient = true;
    for (let attempt = 0; !this.#closed; ) {
      const { reach, length, gap } = this.#survey();
      const asking = this.#answered < this.#asked;
      if (!gap && !asking && this.#target <= reach) break;
      if (length + this.#limits.pageSize > this.#limits.maxHeld) break;
      let wait;
      // What seems lost is often only late: another transport, or one that changes the order, brings it in a moment.
      if (gap && patient && !asking) {
        wait = this.#limits.patienceMs;
        patient = false;
      } else if (await this.#fetch(reach, gap, asking)) {
        attempt = 0;
        continue;
      } else {
        wait = backoff(attempt++, this.#limits.reconnect, this.#retryAfterMs);
      }
      await pause(wait, this.#stop.signal).catch(() => {});
    }
    this.#filling = false;
  }

  // One page of what comes after `reach`, up to the gap's end when that is all that is wanted. False: not now.
  async #fetch(reach, gap, asking) {
    const epoch = this.#epoch;
    const question = this.#asked;
    const needed = gap ? gap.prev : this.#target;
    const { pageSize: limit } = this.#limits;
    this.#retryAfterMs = null;
    let page;
    try {
      page = await this.#history({
        after: reach,
        before: gap && !asking ? needed + 1 : undefined,
        limit,
        signal: this.#stop.signal,
      });
    } catch (error) {
      if (!this.#closed) this.#trouble(error);
      this.#retryAfterMs = error.retryAfterMs;
      return false;
    }
    if (epoch !== this.#epoch || this.#closed) return true;
    if (asking && page.messages.length < limit && !page.more) this.#answered = question;
    for (const frame of page.messages) this.#hold(frame);
    const now = this.#survey();
    if (now.reach === reach && !this.#skip(page, needed, now)) return needed <= reach;
    this.#proceed();
    return true;
  }

  // The page does not continue the chain. What lies before its first message, or is no longer kept, is gone for good;
  // what the history should have and has not yet is only late. False: nothing is gone.
  #skip({ messages, first, last }, needed, { reach, gap }) {
    let gone = first - 1;
    if (messages.length > 0) gone = messages[0].prev;
    else if (last >= needed) gone = Math.max(gone, needed);
    if (gap) gone = Math.min(gone, gap.prev);
    if (gone <= reach) return false;
    this.#hold({ offset: gone, prev: reach, dropped: true });
    return true;
  }
}
