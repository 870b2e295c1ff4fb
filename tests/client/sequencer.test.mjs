// The sequencer against a model of a stream. Frames are lost, late, repeated or out of order; each offset is delivered once
// and in order, and the frames that retention deleted are reported.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { SealcastError } from '../../client/index.js';
import { within } from '../integration/waiting.mjs';
import { random } from './random.mjs';
import { AT_ONCE, Model, frame, upTo } from './sequencer_model.mjs';

const FOR_EVER = 2 ** 30;

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

test('an earlier offset that is expected later takes nothing back', async () => {
  const model = new Model({ pageRoom: () => 3 });
  model.sequencer.expect(5);
  model.sequencer.expect(3);
  model.last = 5;
  await model.reached(5);
  assert.deepEqual(model.reported, [1, 2, 3, 4, 5]);
  model.sequencer.close();
});

test('a catch-up that is asked for during another one reads the history again', async () => {
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  const model = new Model({ beforeAnswer: () => answered });
  model.sequencer.catchUp();
  await within('a request', (async () => { while (model.requests.length < 1) await nextTick(); })());
  model.last = 2; // after the history was read for the first request
  model.sequencer.catchUp();
  answer();
  await model.reached(2);
  assert.deepEqual(model.reported, [1, 2]);
  model.sequencer.close();
});

test('a history that fails is reported each time, and asked again', async () => {
  let failures = 2;
  const failure = new SealcastError('unavailable', 'unavailable');
  const beforeAnswer = () => { if (failures-- > 0) throw failure; };
  const model = new Model({ beforeAnswer });
  model.last = 2;
  model.sequencer.catchUp();
  await model.reached(2);
  assert.deepEqual(model.errors, [failure, failure]);
  model.sequencer.close();
});

test('a history that names a time to wait is not asked before', async () => {
  const times = [];
  const failure = Object.assign(new SealcastError('busy', 'busy'), { retryAfterMs: 1000 });
  const beforeAnswer = () => { if (times.push(performance.now()) === 1) throw failure; };
  const model = new Model({ beforeAnswer });
  model.last = 1;
  model.sequencer.catchUp();
  await model.reached(1);
  assert.ok(times[1] - times[0] >= 999, `asked again after ${times[1] - times[0]} ms`); // a timer may end a fraction early
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

test('rewind() sets the offset at once, and is reported although no frame follows', async () => {
  const model = new Model();
  for (const offset of upTo(5)) model.sequencer.push(frame(offset));
  await model.reached(5);
  model.sequencer.rewind(2);
  assert.equal(model.sequencer.offset, 2);
  await model.until('the rewind is reported', () => model.reported.length === 6);
  assert.deepEqual(model.reported.slice(5), ['back to 2']);
  model.sequencer.close();
});

test('a frame that was held before a rewind is not delivered after it', async () => {
  const model = new Model({ limits: { ...AT_ONCE, patienceMs: 60_000 } });
  for (const offset of [1, 2, 3, 4, 6]) model.sequencer.push(frame(offset)); // 6 waits for 5
  await model.reached(4);
  model.sequencer.rewind(2);
  for (const offset of [3, 4, 5]) model.sequencer.push(frame(offset));
  await model.reached(5);
  await nextTick();
  assert.deepEqual(model.reported, [1, 2, 3, 4, 'back to 2', 3, 4, 5]);
  model.sequencer.close();
});

test('a page of the history that was requested before a rewind is discarded', async () => {
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  const model = new Model({ beforeAnswer: () => answered });
  model.last = 4;
  for (const offset of [1, 2, 5]) model.sequencer.push(frame(offset));
  await within('a request for 3 and 4', (async () => { while (model.requests.length < 1) await nextTick(); })());
  model.sequencer.rewind(2);
  model.last = 2;
  answer();
  await model.until('the rewind is reported', () => model.reported.includes('back to 2'));
  for (let i = 0; i < 5; i++) await nextTick();
  assert.deepEqual(model.reported, [1, 2, 'back to 2']);
  model.sequencer.close();
});

test('a rewind during a report keeps its offset when the report ends', async () => {
  const seen = []; // the offset of the sequencer when each report begins
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  const model = new Model({ handler: () => seen.push(model.sequencer.offset) === 3 && ended });
  for (const offset of upTo(3)) model.sequencer.push(frame(offset));
  await within('the report of 3 begins', (async () => { while (seen.length < 3) await nextTick(); })());
  model.sequencer.rewind(1);
  end();
  await model.until('the rewind is reported', () => model.reported.includes('back to 1'));
  assert.deepEqual(model.reported, [1, 2, 3, 'back to 1']);
  assert.deepEqual(seen, [0, 1, 2, 1]);
  model.sequencer.close();
});

test('offsets that were expected before a rewind are not read from the history after it', async () => {
  const model = new Model();
  model.last = 5;
  model.sequencer.expect(5);
  await model.reached(5);
  const { length } = model.requests;
  model.last = 2;
  model.sequencer.rewind(2);
  model.sequencer.push(frame(3));
  await model.reached(3);
  assert.equal(model.requests.length, length);
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
