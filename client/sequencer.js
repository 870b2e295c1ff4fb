// Puts a stream's frames in order. Transports may bring frames late, repeated or in another order; the reader gets each
// offset once, ascending, and one at a time. Missing frames are read from the history. Frames that retention has deleted
// are reported.
//
// A frame's `prev` is the offset of the frame before it on its channel (docs/delivery.md). So the held frames form a chain
// that begins at the last delivered frame. A frame whose `prev` the chain does not reach comes after a gap.
import { pause, pauseBeforeRetry } from './backoff.js';
import { resumePoint } from './resume_point.js';

const MAX_REMEMBERED = 256; // delivered frames
const CHECK_EVERY_MS = 5000; // the least time between two checks of the epoch because of unknown old frames

export class Sequencer {
  #deliver;
  #arrived;
  #dropped;
  #rewound;
  #history;
  #historyFailed;
  #limits;
  #stop = new AbortController();

  #epoch = null; // of the log to which the offsets belong; null until it is known
  #recent = new Map(); // offset → signature of the newest delivered frames
  #checked = -Infinity; // when an unknown old frame was last the reason to read the history
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

  // deliver(frame), dropped({from, to}) and rewound({offset}) are awaited. arrived(frame) is called for each frame of a
  // transport or of the history, before its turn. history({after, before, limit, signal}) resolves with {messages, first,
  // last, epoch}. historyFailed(error) is called when the history cannot be read.
  constructor({ deliver, arrived = () => {}, dropped, rewound, history, historyFailed, ...limits }) {
    const { maxHeld = 1000, pageSize = 200, patienceMs = 150, reconnect } = limits;
    this.#deliver = deliver;
    this.#arrived = arrived;
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

  // Where another reader can continue: EPOCH:OFFSET, OFFSET while the epoch is unknown, or null before start().
  get resumePoint() {
    return this.#done === null ? null : resumePoint(this.#done, this.#epoch);
  }

  // Delivery begins after this offset. `epoch` is null when it is not known yet.
  start(offset, epoch = null) {
    if (this.started) return;
    this.#epoch = epoch;
    this.#taken = this.#done = offset;
    this.#proceed();
  }

  push(frame) {
    if (this.#contradicts(frame)) this.#catchUps++;
    this.#receive(frame);
    this.#proceed();
  }

  // The frames that wait, to be read only. An entry with `dropped` has no envelope.
  get held() {
    return this.#held;
  }

  // Holds another form of the same frame, unless the frame waits no more.
  replaceHeld(frame, other) {
    const at = this.#held.indexOf(frame);
    if (at >= 0) this.#held[at] = other;
  }

  // To be called when the epoch of the log becomes known. Returns false when the offsets belong to another log, so that
  // the caller must call rewind().
  belongsTo(epoch) {
    this.#epoch ??= epoch;
    return epoch === null || epoch === this.#epoch;
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
  rewind(offset, epoch = this.#epoch) {
    this.#epoch = epoch;
    this.#rewinds++;
    this.#held = [];
    this.#recent.clear();
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

  // Whether an old frame may be of another log. Frames do not name their epoch, but after a restore other messages have
  // the offsets that were delivered before. The history then tells the epoch.
  #contradicts({ offset, envelope }) {
    if (!this.started || offset > this.#taken || typeof envelope?.sig !== 'string') return false;
    const known = this.#recent.get(offset);
    if (known !== undefined) return known !== envelope.sig;
    if (Date.now() < this.#checked + CHECK_EVERY_MS) return false;
    this.#checked = Date.now();
    return true;
  }

  #remember({ offset, envelope }) {
    if (typeof envelope?.sig !== 'string') return;
    this.#recent.set(offset, envelope.sig);
    if (this.#recent.size > MAX_REMEMBERED) this.#recent.delete(this.#recent.keys().next().value);
  }

  #receive(frame) {
    this.#hold(frame);
    this.#arrived(frame);
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
      this.#remember(next);
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
      // A missing frame is often only late: the transport changed the order, or another transport brings it soon.
      if (gap && mayComeLate && !catchingUp) {
        mayComeLate = false;
        await pause(this.#limits.patienceMs, this.#stop.signal).catch(() => {});
      } else if (await this.#fetch(reach, gap, catchingUp)) {
        attempt = 0;
      } else {
        await pauseBeforeRetry(attempt++, this.#limits.reconnect, this.#retryAfterMs, this.#stop.signal);
      }
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
        after: resumePoint(reach, this.#epoch),
        before: gap && !catchingUp ? resumePoint(needed + 1, this.#epoch) : undefined,
        limit,
        signal: this.#stop.signal,
      });
    } catch (error) {
      if (!this.#closed) this.#historyFailed(error);
      this.#retryAfterMs = error.retryAfterMs;
      return false;
    }
    if (rewinds !== this.#rewinds || this.#closed) return true;
    if (!this.belongsTo(page.epoch ?? null)) {
      this.#catchUps++;
      this.rewind(page.first - 1, page.epoch);
      return true;
    }
    if (catchingUp && page.messages.length < limit && !page.more) this.#caughtUp = catchUps;
    for (const frame of page.messages) this.#receive(frame);
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
