// A model of a stream and its history, for tests of the sequencer.
import assert from 'node:assert/strict';
import { Sequencer } from '../../client/sequencer.js';
import { within } from '../integration/waiting.mjs';

export const AT_ONCE = { patienceMs: 0, reconnect: { baseMs: 1, capMs: 1, spreadMs: 0 } };

export const frame = (offset, prev = offset - 1) => ({ offset, prev, envelope: { n: offset } });
export const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

// A model of a stream whose history has the offsets `first` to `last`, and a reader that records what the sequencer reports.
export class Model {
  reported = []; // delivered offsets, "from-to" of deleted frames, and "back to offset" of rewinds
  requests = []; // to the history
  errors = []; // of the history
  first = 1;
  last = 0;
  #waiting = [];

  constructor({ limits = AT_ONCE, from = 0, handler = () => {}, beforeAnswer = () => {}, pageRoom = () => Infinity } = {}) {
    let busy = false;
    const note = async (what) => {
      assert.ok(!busy, 'the sequencer waits for the last report');
      busy = true;
      await handler();
      busy = false;
      this.reported.push(what);
      this.#waiting = this.#waiting.filter(({ reached, resolve }) => !reached() || resolve());
    };
    this.sequencer = new Sequencer({
      deliver: ({ offset, envelope }) => {
        assert.equal(envelope.n, offset);
        return note(offset);
      },
      dropped: ({ from, to }) => note(`${from}-${to}`),
      rewound: ({ offset }) => note(`back to ${offset}`),
      historyFailed: (error) => this.errors.push(error),
      history: async (query) => {
        const [after, before] = [Number(query.after), Number(query.before ?? Infinity)];
        const { limit } = query;
        this.requests.push({ after, before, limit });
        const { first, last } = this;
        await beforeAnswer();
        const offsets = upTo(last, Math.max(first, after + 1)).filter((offset) => offset < before);
        const messages = offsets.slice(0, Math.min(limit, pageRoom())).map((offset) => frame(offset));
        const more = messages.length < Math.min(limit, offsets.length); // the page ended because of its size
        return { messages, first, last, ...(more && { more }) };
      },
      ...limits,
    });
    if (from !== null) this.sequencer.start(from);
  }

  async until(what, reached) {
    if (reached()) return;
    await within(what, new Promise((resolve) => this.#waiting.push({ reached, resolve })));
  }

  // Resolves when the reports cover every offset up to this one.
  reached(offset) {
    return this.until(`offset ${offset} is reported`, () => last(this.reported) >= offset);
  }
}

const last = (reported) => (reported.length > 0 ? Number(String(reported.at(-1)).split('-').at(-1)) : 0);
