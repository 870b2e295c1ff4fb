// The transport in use fails for good while a migration connects to another one. The test has drivers of its own, so that it
// decides when a connection succeeds or fails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, SealcastError } from '../../client/index.js';
import { Reader } from './reader.mjs';

const STREAM = '11111111-2222-4333-8444-555555555555';
const SYSTEM = '00000000-0000-0000-0000-000000000000';
const turn = () => new Promise((resolve) => setImmediate(resolve)); // of the event loop: all promises have settled then
const refusal = () => new SealcastError('transport_refused', 'the transport refuses this reader', { status: 403 });

// The drivers a, b and c. `open` has the connections of each that are not closed.
class Lines {
  open = { a: [], b: [], c: [] };

  driver(name) {
    const connect = (_, context) =>
      new Promise((resolve, reject) => {
        const line = { connected: () => context.onConnected({ offset: 0, epoch: 'e1' }), fail: (error) => reject(error), frame: (frame) => context.onFrame(frame) };
        this.open[name].push(line);
        context.signal.addEventListener('abort', resolve);
      }).finally(() => this.open[name].shift());
    return { name, resumes: true, connect };
  }

  // A reader on `a`, or one that has moved from `a` to `b`.
  async reader({ moved }) {
    const client = createClient({ url: 'http://127.0.0.1:9', transports: ['a', 'b', 'c'].map((name) => this.driver(name)) });
    const reader = new Reader(client, STREAM);
    await this.connect('a', reader);
    await reader.ready();
    if (moved) await Promise.all([reader.subscription.migrate('b', { overlapMs: 0 }), this.connect('b', reader)]);
    return reader;
  }

  // The frame of a transport_migrate, the first of the stream.
  migration(target, more) {
    const envelope = { stream_id: STREAM, t: 'transport_migrate', s: SYSTEM, ts: Date.now(), d: { type: 'migrate', target, overlap_ms: 0, ...more } };
    return { offset: 1, prev: 0, envelope };
  }

  async connect(name) {
    const end = Date.now() + 5000;
    while (!this.open[name].length) {
      assert(Date.now() < end, `no connection to ${name}`);
      await turn();
    }
    this.open[name].at(-1).connected();
  }

  get counts() {
    return Object.values(this.open).map((lines) => lines.length);
  }
}

for (const moved of [true, false]) {
  const used = moved ? 'b' : 'a';
  test(`the transport in use, ${moved ? 'to which the reader has moved' : 'the first one'}, refuses while a migration connects: the migration succeeds, and no connection is left`, { timeout: 20_000 }, async () => {
    const lines = new Lines();
    const reader = await lines.reader({ moved });
    const migration = reader.subscription.migrate('c', { overlapMs: 60_000 });
    while (!lines.open.c.length) await turn();
    lines.open[used][0].fail(refusal());
    await turn();
    await lines.connect('c');
    await migration;
    assert.deepEqual([reader.subscription.transport, reader.subscription.status], ['c', 'live']);
    assert.deepEqual(lines.counts, [0, 0, 1]);
    await reader.close();
    assert.deepEqual(lines.counts, [0, 0, 0]);
  });
}

test('the transport in use refuses while a migration connects, and the migration fails: the reader returns to the transport before', { timeout: 20_000 }, async () => {
  const lines = new Lines();
  const reader = await lines.reader({ moved: true });
  const migration = reader.subscription.migrate('c');
  while (!lines.open.c.length) await turn();
  lines.open.b[0].fail(refusal());
  await turn();
  lines.open.c[0].fail(refusal());
  await assert.rejects(migration, { code: 'transport_refused' });
  await lines.connect('a');
  await reader.until('the reader is live', () => reader.subscription.status === 'live');
  assert.equal(reader.subscription.transport, 'a');
  assert.deepEqual(lines.counts, [1, 0, 0]);
  await reader.close();
});

test('the transport in use refuses while the reader waits to follow a migration: the reader moves at once', { timeout: 20_000 }, async () => {
  const lines = new Lines();
  const reader = await lines.reader({ moved: false });
  lines.open.a[0].frame(lines.migration('b', { spread_ms: 3_600_000 }));
  await turn();
  assert.deepEqual(lines.counts, [1, 0, 0]);
  lines.open.a[0].fail(refusal());
  await lines.connect('b');
  await reader.until('the reader has moved', () => reader.subscription.transport === 'b' && reader.subscription.status === 'live');
  assert.deepEqual(lines.counts, [0, 1, 0]);
  await reader.close();
});
