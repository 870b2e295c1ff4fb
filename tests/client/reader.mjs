// A subscription that records its frames and callbacks, and can check the frames: no gap, no repeat, in order.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { within } from '../integration/waiting.mjs';
import { closeAtEnd } from './close_at_end.mjs';

// Short pauses: failures are expected here, and tests should not wait long for the retries.
export const QUICK = { baseMs: 20, capMs: 100, spreadMs: 10 };

// A fetch that ignores its signal, like that of Debian's Node.js 18 after a garbage collection.
export const fetchIgnoringSignal = (url, { signal, ...request }) => fetch(url, request);

// Fails when a listener is left behind with each connection.
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') throw warning;
});

export class Reader extends EventEmitter {
  frames = [];
  notes = []; // [name, ...arguments] of each callback, in order
  errors = [];

  constructor(client, streamId, options = {}, beforeNote = () => {}) {
    super();
    closeAtEnd(() => this.subscription?.close());
    const note = (name) => (...args) => {
      this.notes.push([name, ...args]);
      this.emit('changed');
    };
    this.subscription = client.subscribeStreamEvents(
      streamId,
      async (frame) => {
        await beforeNote(frame);
        this.frames.push(frame);
        this.emit('changed');
      },
      {
        reconnect: QUICK,
        spreadMs: 0,
        onStatus: (status) => note('status')(status),
        onTransport: note('transport'),
        onDropped: note('dropped'),
        onRewound: note('rewound'),
        onError: (error) => {
          this.errors.push(error);
          this.emit('changed');
        },
        ...options,
      },
    );
  }

  ready() {
    return within('the reader is ready', this.subscription.ready, 30_000);
  }

  get offsets() {
    return this.frames.map(({ offset }) => offset);
  }

  get statuses() {
    return this.notes.filter(([name]) => name === 'status').map(([, status]) => status);
  }

  // Resolves when the condition holds.
  async until(what, condition, limit = 30_000) {
    const wait = async () => {
      while (!condition()) await once(this, 'changed');
    };
    await within(what, wait(), limit).catch((error) => {
      const { status, transport, offset } = this.subscription;
      const seen = `${status} on ${transport} at ${offset}; last errors: ${this.errors.slice(-3).map(String)}`;
      throw new Error(`${error.message} (${seen})`, { cause: error });
    });
  }

  // Resolves when the frame of that offset was handled.
  async reached(offset) {
    await this.until(`offset ${offset}`, () => this.frames.at(-1)?.offset >= offset);
  }

  // The handler got the offsets `first` to `last`, each once and in order.
  assertOffsets(first, last) {
    assert.deepEqual(this.offsets, Array.from({ length: last - first + 1 }, (_, i) => first + i));
  }

  close() {
    return this.subscription.close();
  }
}
