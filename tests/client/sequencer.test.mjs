// The sequencer against a model of a stream. Frames are lost, late, repeated or out of order; each offset is delivered once
// and in order, and the frames that retention deleted are reported.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { SealcastError } from '../../client/index.js';
import { parseResumePoint } from '../../client/resume_point.js';
import { Sequencer } from '../../client/sequencer.js';
import { within } from '../integration/waiting.mjs';
import { random } from './random.mjs';

const FOR_EVER = 2 ** 30;
const AT_ONCE = { patienceMs: 0, reconnect: { baseMs: 1, capMs: 1, spreadMs: 0 } };

const frame = (offset, prev = offset - 1) => ({ offset, prev, envelope: { n: offset } });
const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

// A model of a stream whose history has the offsets `first` to `last`, and a reader that records what the sequencer reports.
class Model {
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

function* permutations(list) {
  if (list.length <= 1) yield list;
  for (const [i, first] of list.entries()) {
    for (const rest of permutations([...list.slice(0, i), ...list.slice(i + 1)])) yield [first, ...rest];
  }
}

// All merges of two lists that keep the order within each list.
function* merges(a, b) {
  if (a.length === 0 || b.length === 0) return yield [...a, ...b];
  for (const rest of merges(a.slice(1), b)) yield [a[0], ...rest];
  for (const rest of merges(a, b.slice(1))) yield [b[0], ...rest];
}

test('seven frames in any order are put in order without reading the history', async () => {
  for (const order of permutations(upTo(7))) {
    const model = new Model({ limits: { patienceMs: FOR_EVER } });
    for (const offset of order) model.sequencer.push(frame(offset));
    await model.reached(7);
    assert.deepEqual(model.reported, upTo(7), `order ${order}`);
    assert.equal(model.requests.length, 0);
    model.sequencer.close();
  }
});

test('any lost frames among seven are read from the history', async () => {
  for (let lost = 0; lost < 2 ** 7; lost++) {
    const model = new Model();
    model.last = 8;
    for (const offset of upTo(7)) if (!(lost & (1 << (offset - 1)))) model.sequencer.push(frame(offset));
    model.sequencer.push(frame(8)); // its prev shows what was lost before
    await model.reached(8);
    assert.deepEqual(model.reported, upTo(8), `lost ${lost.toString(2)}`);
    assert.equal(model.requests.length === 0, lost === 0, `the history is read only when frames are lost: ${lost.toString(2)}`);
    model.sequencer.close();
  }
});

test('each frame is delivered once, however an old and a new transport overlap', async () => {
  for (const order of merges(upTo(6), upTo(9, 4))) {
    const model = new Model({ limits: { patienceMs: FOR_EVER } });
    for (const offset of order) model.sequencer.push(frame(offset));
    await model.reached(9);
    assert.deepEqual(model.reported, upTo(9), `order ${order}`);
    assert.equal(model.requests.length, 0);
    model.sequencer.close();
  }
});

test('frames that the channel left out are not a gap, lost frames are', async () => {
  const model = new Model({ from: 1 });
  model.last = 40;
  for (const [offset, prev] of [[2, 1], [10, 2], [15, 10]]) model.sequencer.push(frame(offset, prev));
  await model.reached(15);
  assert.deepEqual(model.reported, [2, 10, 15]);
  assert.equal(model.requests.length, 0);
  model.sequencer.push(frame(30, 18)); // 18 was lost; the channel carries nothing between 18 and 30
  await model.reached(30);
  assert.deepEqual(model.reported, [2, 10, 15, 16, 17, 18, 30]);
  assert.deepEqual(model.requests, [{ after: 15, before: 19, limit: 200 }]);
  model.sequencer.close();
});

test('600 random streams with losses, repeats, disorder, slow handlers and history errors arrive once and in order', async () => {
  for (let seed = 1; seed <= 600; seed++) {
    const dice = random(seed);
    const size = 1 + dice.below(80);
    const trimmed = dice.chance(0.2) ? dice.below(size) : 0;
    const limits = { ...AT_ONCE, maxHeld: 4 + dice.below(30), pageSize: 1 + dice.below(10) };
    const model = new Model({
      limits,
      handler: () => (dice.chance(0.3) ? nextTick() : undefined),
      beforeAnswer: async () => {
        if (dice.chance(0.3)) await nextTick();
        if (dice.chance(0.1)) throw new SealcastError('overloaded', 'not now', { status: 503 });
      },
      pageRoom: () => (dice.chance(0.2) ? 1 + dice.below(3) : Infinity),
    });
    model.first = trimmed + 1;
    const carried = [0, 1].flatMap((transport) =>
      upTo(size)
        .filter((offset) => (transport === 0 ? offset < size * 0.7 : offset > size * 0.4))
        .filter(() => !dice.chance(0.2))
        .flatMap((offset) => (dice.chance(0.1) ? [offset, offset] : [offset])),
    );
    for (const offset of dice.jostled(carried.sort((a, b) => a - b), 6)) {
      model.last = Math.max(model.last, offset);
      model.sequencer.push(frame(offset));
      if (dice.chance(0.5)) await nextTick();
    }
    model.last = size;
    model.sequencer.catchUp();
    await model.reached(size).catch((error) => assert.fail(`seed ${seed}: ${error.message}`));
    const covered = model.reported.flatMap((what) => {
      if (typeof what === 'number') return [what];
      const [from, to] = what.split('-').map(Number);
      assert.ok(to <= trimmed, `seed ${seed}: ${what} was not deleted by retention`);
      return upTo(to, from);
    });
    assert.deepEqual(covered, upTo(size), `seed ${seed}: ${model.reported}`);
    model.sequencer.close();
  }
});

test('a slow reader holds at most maxHeld frames and misses none', async () => {
  let calls = 0;
  let release;
  const model = new Model({
    limits: { ...AT_ONCE, maxHeld: 10, pageSize: 5 },
    handler: () => new Promise((resolve) => (calls++ === 0 ? (release = resolve) : resolve())),
  });
  model.last = 500;
  for (const offset of upTo(500)) model.sequencer.push(frame(offset));
  assert.equal(model.requests.length, 0, 'the history is not read while there is no room for frames');
  release();
  await model.reached(500);
  assert.deepEqual(model.reported, upTo(500));
  model.sequencer.close();
});

test('catchUp() reads to the end of the history, and each call does so again', async () => {
  const model = new Model({ limits: { ...AT_ONCE, pageSize: 3 } });
  model.last = 7;
  model.sequencer.catchUp();
  await model.reached(7);
  assert.deepEqual(model.reported, upTo(7));
  assert.deepEqual(model.requests.map(({ after }) => after), [0, 3, 6]);
  model.last = 8;
  model.sequencer.catchUp();
  await model.reached(8);
  assert.deepEqual(model.reported, upTo(8));
  model.sequencer.close();
});

test('frames that retention deleted are reported once, in their place', async () => {
  const model = new Model({ from: 2 });
  Object.assign(model, { first: 6, last: 9 });
  model.sequencer.expect(5); // as after a reset frame
  for (const offset of upTo(9, 6)) model.sequencer.push(frame(offset));
  await model.reached(9);
  assert.deepEqual(model.reported, ['3-5', 6, 7, 8, 9]);
  model.sequencer.close();
});

test('a stream whose messages are all deleted is reported as deleted', async () => {
  const model = new Model({ from: 2 });
  Object.assign(model, { first: 6, last: 5 });
  model.sequencer.catchUp();
  await model.reached(5);
  assert.deepEqual(model.reported, ['3-5']);
  model.sequencer.push(frame(6));
  await model.reached(6);
  assert.deepEqual(model.reported, ['3-5', 6]);
  model.sequencer.close();
});

test('the sequencer waits for a frame that the history does not have yet', async () => {
  const model = new Model();
  model.sequencer.push(frame(3));
  await within('three requests', (async () => { while (model.requests.length < 3) await nextTick(); })());
  assert.deepEqual(model.reported, []);
  model.last = 3;
  await model.reached(3);
  assert.deepEqual(model.reported, [1, 2, 3]);
  model.sequencer.close();
});

test('rewind() is reported before the next frame, and offsets are delivered again', async () => {
  const model = new Model();
  for (const offset of upTo(5)) model.sequencer.push(frame(offset));
  await model.reached(5);
  model.sequencer.rewind(2);
  for (const offset of [3, 4]) model.sequencer.push(frame(offset));
  await model.until('offset 4 again', () => model.reported.length === 8);
  assert.deepEqual(model.reported, [1, 2, 3, 4, 5, 'back to 2', 3, 4]);
  assert.equal(model.sequencer.offset, 4);
  model.sequencer.close();
});

test('nothing is delivered before start() or after close()', async () => {
  const model = new Model({ from: null });
  for (const offset of upTo(4)) model.sequencer.push(frame(offset));
  await nextTick();
  assert.deepEqual(model.reported, []);
  assert.equal(model.sequencer.offset, null);
  model.sequencer.start(2);
  await model.reached(4);
  assert.deepEqual(model.reported, [3, 4]);
  model.sequencer.close();
  model.sequencer.push(frame(5));
  await nextTick();
  assert.deepEqual(model.reported, [3, 4]);
});

// A model of a log with an epoch: its history answers a foreign resume point with a reset, as the server does.
class Log {
  reported = [];
  messages = [];
  requests = 0;

  constructor(from) {
    this.sequencer = new Sequencer({
      deliver: ({ offset, envelope, gone }) => this.#note(gone ? `${offset} gone` : `${offset} ${envelope.sig}`),
      dropped: ({ from: first, to }) => this.#note(`${first}-${to}`),
      rewound: ({ offset }) => this.#note(`back to ${offset}`),
      historyFailed: assert.ifError,
      history: async ({ after, before, limit }) => {
        this.requests++;
        const [bound, end] = [parseResumePoint(after), before === undefined ? null : parseResumePoint(before)];
        const reset = bound.epoch !== null && bound.epoch !== this.epoch;
        const inRange = ({ offset }) => reset || (offset > bound.offset && !(offset >= end?.offset));
        const messages = this.messages.filter(inRange).slice(0, limit);
        return { messages, first: 1, last: this.messages.length, epoch: this.epoch, ...(reset && { reset }) };
      },
      ...AT_ONCE,
    });
    const { offset, epoch } = parseResumePoint(from);
    this.sequencer.start(offset, epoch);
  }

  begin(epoch, signatures) {
    this.epoch = epoch;
    this.messages = signatures.map((sig, i) => ({ offset: i + 1, prev: i, envelope: { sig } }));
  }

  #note(what) {
    this.reported.push(what);
    this.changed?.();
  }

  async has(reported) {
    await within(
      `${reported}`,
      new Promise((resolve) => (this.changed = () => this.reported.length >= reported.length && resolve())),
    ).catch(() => {});
    assert.deepEqual(this.reported, reported);
  }
}

const signed = (label, count) => Array.from({ length: count }, (_, i) => `${label}${i + 1}`);
const reports = (signatures) => signatures.map((sig, i) => `${i + 1} ${sig}`);

test('frames of a restored log with old offsets are noticed, and everything that is kept comes again', async () => {
  const log = new Log('old:0');
  const [old, restored] = [signed('a', 10), [...signed('a', 5), ...signed('b', 7)]];
  log.begin('old', old);
  for (const frame of log.messages) log.sequencer.push(frame);
  assert.equal(log.sequencer.resumePoint, 'old:0');
  await log.has(reports(old));
  assert.equal(log.sequencer.resumePoint, 'old:10');
  log.begin('new', restored);
  log.sequencer.push(log.messages[5]); // offset 6 again, with another message
  await log.has([...reports(old), 'back to 0', ...reports(restored)]);
  assert.equal(log.sequencer.resumePoint, 'new:12');
  log.sequencer.close();
});

test('repeats of the same log are no reason to read the history', async () => {
  const log = new Log('old:0');
  log.begin('old', signed('a', 10));
  for (const frame of [...log.messages, ...log.messages]) log.sequencer.push(frame);
  await log.has(reports(signed('a', 10)));
  for (const frame of log.messages) log.sequencer.push(frame);
  assert.equal(log.requests, 0);
  log.sequencer.close();
});

test('a gap is filled with the epoch, and a resume point of another epoch is rewound', async () => {
  const log = new Log('old:10');
  log.begin('new', signed('b', 12));
  log.sequencer.push({ ...log.messages[11], prev: 11 });
  await log.has(['back to 0', ...reports(signed('b', 12))]);
  log.sequencer.close();
});

test('a message that is gone fills its gap, and moves the position', async () => {
  const log = new Log('x:0');
  log.begin('x', signed('a', 4));
  log.messages[1] = { offset: 2, prev: 1, gone: true };
  log.sequencer.push(log.messages[0]);
  log.sequencer.push(log.messages[2]); // the gone frame comes from the history
  log.messages[3] = { offset: 4, prev: 3, gone: true };
  log.sequencer.push(log.messages[3]);
  await log.has(['1 a1', '2 gone', '3 a3', '4 gone']);
  assert.equal(log.sequencer.resumePoint, 'x:4');
  log.sequencer.close();
});
