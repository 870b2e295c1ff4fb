// Puts a stream's frames in order. Transports may bring frames late, repeated or in another order; the reader gets each
// offset once, ascending, and one at a time. Missing frames are read from the history. Frames that retention has deleted
// are reported.
//
// A frame's `prev` is the offset of the frame before it on its channel (docs/delivery.md). So the held frames form a chain
// that begins at the last delivered frame. A frame whose `prev` the chain does not reach comes after a gap.
import { backoff, pause } from './backoff.js';

export class Sequencer {
  #deliver;
  #dropped;
  #rewound;
  #history;
  #historyFailed;
  #limits;
  #stop = new AbortController();

  #taken = null; // the last offset passed to deliver(); null until start()
  #done = null; // the last offset for which deliver() has ended
  #held = []; // ascending by offset; an entry with `dropped` represents the frames that retention deleted up to its offset
  #target = 0; // the highest offset that is known to exist although its frame is not held
  #catchUps = 0; // calls of catchUp()
  #caughtUp = 0; // the calls of catchUp() that are done
  #rewinds = 0; // calls of rewind(); offsets from before a rewind are void
  #pendingRewind = null; // to be reported before anything else is delivered
  #delivering = false;
  #filling = false;
  #retryAfterMs = null; // from the last error of the history

  // deliver(frame), dropped({from, to}) and rewound({offset}) are awaited. history({after, before, limit, signal})
  // resolves with {messages, first, last}. historyFailed(error) is called when the history cannot be read.
  constructor({ deliver, dropped, rewound, history, historyFailed, ...limits }) {
    const { maxHeld = 1000, pageSize = 200, patienceMs = 150, reconnect } = limits;
    this.#deliver = deliver;
    this.#dropped = dropped;
    this.#rewound = rewound;
    this.#history = history;
    this.#historyFailed = historyFailed;
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

  // Reads the history up to its end, since messages may exist after the newest known frame.
  catchUp() {
    this.#catchUps++;
    this.#proceed();
  }

  // To be called when a frame with this offset is known to exist. It is read from the history if no transport brings it.
  expect(offset) {
    this.#target = Math.max(this.#target, offset);
    this.#proceed();
  }

  // The stream was set back to this offset, so that the following frames have offsets that were used before.
  rewind(offset) {
    this.#rewinds++;
    this.#held = [];
    this.#pendingRewind = { offset };
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

  // Inserts the frame by its offset. When too many are held, the highest is removed; it can be read from the history later.
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
      const rewinds = this.#rewinds;
      const from = this.#taken + 1;
      this.#taken = next.offset;
      if (next === this.#pendingRewind) await this.#reportRewind();
      else if (next.dropped) await this.#dropped({ from, to: next.offset });
      else await this.#deliver(next);
      if (rewinds === this.#rewinds) this.#done = next.offset;
      if (!this.#filling) this.#fill(); // there is room for more frames now
    }
    this.#delivering = false;
  }

  #next() {
    if (this.#pendingRewind) return this.#pendingRewind;
    while (this.#held.length > 0 && this.#held[0].offset <= this.#taken) this.#held.shift();
    return this.#held.length > 0 && this.#held[0].prev <= this.#taken ? this.#held.shift() : null;
  }

  #reportRewind() {
    const { offset } = this.#pendingRewind;
    this.#pendingRewind = null;
    return this.#rewound({ offset });
  }

  // Returns the last offset of the chain, its number of frames, and the frame after the first gap.
  #measureChain() {
    let reach = this.#taken;
    let length = 0;
    for (const frame of this.#held) {
      if (frame.prev > reach) return { reach, length, gap: frame };
      reach = Math.max(reach, frame.offset);
      length++;
    }
    return { reach, length, gap: null };
  }

  // Reads from the history until no frame is known to be missing, or until too many frames are held.
  async #fill() {
    this.#filling = true;
    let mayComeLate = true;
    for (let attempt = 0; !this.#closed; ) {
      const { reach, length, gap } = this.#measureChain();
      const catchingUp = this.#caughtUp < this.#catchUps;
      if (!gap && !catchingUp && this.#target <= reach) break;
      if (length + this.#limits.pageSize > this.#limits.maxHeld) break;
      let wait;
      // A missing frame is often only late: the transport changed the order, or another transport brings it soon.
      if (gap && mayComeLate && !catchingUp) {
        wait = this.#limits.patienceMs;
        mayComeLate = false;
      } else if (await this.#fetch(reach, gap, catchingUp)) {
        attempt = 0;
        continue;
      } else {
        wait = backoff(attempt++, this.#limits.reconnect, this.#retryAfterMs);
      }
      await pause(wait, this.#stop.signal).catch(() => {});
    }
    this.#filling = false;
  }

  // Reads one page of the history after `reach`, up to the end of the gap unless it is catching up. Resolves with false
  // when needed frames are still missing, so that the caller pauses before the next attempt.
  async #fetch(reach, gap, catchingUp) {
    const rewinds = this.#rewinds;
    const catchUps = this.#catchUps;
    const needed = gap ? gap.prev : this.#target;
    const { pageSize: limit } = this.#limits;
    this.#retryAfterMs = null;
    let page;
    try {
      page = await this.#history({
        after: reach,
        before: gap && !catchingUp ? needed + 1 : undefined,
        limit,
        signal: this.#stop.signal,
      });
    } catch (error) {
      if (!this.#closed) this.#historyFailed(error);
      this.#retryAfterMs = error.retryAfterMs;
      return false;
    }
    if (rewinds !== this.#rewinds || this.#closed) return true;
    if (catchingUp && page.messages.length < limit && !page.more) this.#caughtUp = catchUps;
    for (const frame of page.messages) this.#hold(frame);
    const now = this.#measureChain();
    if (now.reach === reach && !this.#skip(page, needed, now)) return needed <= reach;
    this.#proceed();
    return true;
  }

  // Called when the page does not continue the chain. Frames before the page's first message, or before the oldest message
  // kept, are gone for good. Newer frames are only late. Returns false when no frame is gone.
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
