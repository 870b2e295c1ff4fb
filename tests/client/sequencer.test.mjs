// The sequencer against a model of a stream: whatever is lost, late, repeated or swapped, each offset is delivered once
// and in order, and what retention took is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SealcastError } from '../../client/index.js';
import { Sequencer } from '../../client/sequencer.js';
import { within } from '../integration/waiting.mjs';
import { random } from './random.mjs';

const FOR_EVER = 2 ** 30;
const AT_ONCE = { patienceMs: 0, reconnect: { baseMs: 1, capMs: 1, spreadMs: 0 } };

const frame = (offset, prev = offset - 1) => ({ offset, prev, envelope: { n: offset } });
const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

// A stream of which `first` to `last` are kept, and a reader that notes what it is told.
class World {
  told = []; // offsets, and "from-to" of what is gone
  questions = [];
  troubles = [];
  first = 1;
  last = 0;
  #waiting = [];

  constructor({ limits = AT_ONCE, from = 0, think = () => {}, answer = () => {}, room = () => Infinity } = {}) {
    let busy = false;
    const note = async (what) => {
      assert.ok(!busy, 'one at a time');
      busy = true;
      await think();
      busy = false;
      this.told.push(what);
      this.#waiting = this.#waiting.filter(({ reached, resolve }) => !reached() || resolve());
    };
    this.sequencer = new Sequencer({
      deliver: ({ offset, envelope }) => {
        assert.equal(envelope.n, offset);
        return note(offset);
      },
      dropped: ({ from, to }) => note(`${from}-${to}`),
      rewound: ({ offset }) => note(`back to ${offset}`),
      trouble: (error) => this.troubles.push(error),
      history: async ({ after, before = Infinity, limit }) => {
        this.questions.push({ after, before, limit });
        const { first, last } = this;
        await answer();
        const offsets = upTo(last, Math.max(first, after + 1)).filter((offset) => offset < before);
        const messages = offsets.slice(0, Math.min(limit, room())).map((offset) => frame(offset));
        const more = messages.length < Math.min(limit, offsets.length); // it ended for its size
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

  // What was told covers everything up to the offset.
  reached(offset) {
    return this.until(`offset ${offset} is told of`, () => last(this.told) >= offset);
  }
}

const last = (told) => (told.length > 0 ? Number(String(told.at(-1)).split('-').at(-1)) : 0);

function* permutations(list) {
  if (list.length <= 1) yield list;
  for (const [i, first] of list.entries()) {
    for (const rest of permutations([...list.slice(0, i), ...list.slice(i + 1)])) yield [first, ...rest];
  }
}

// Every way to merge two lists that keep their own order.
function* merges(a, b) {
  if (a.length === 0 || b.length === 0) return yield [...a, ...b];
  for (const rest of merges(a.slice(1), b)) yield [a[0], ...rest];
  for (const rest of merges(a, b.slice(1))) yield [b[0], ...rest];
}

test('every order of seven frames is put right without a question', async () => {
  for (const order of permutations(upTo(7))) {
    const world = new World({ limits: { patienceMs: FOR_EVER } });
    for (const offset of order) world.sequencer.push(frame(offset));
    await world.reached(7);
    assert.deepEqual(world.told, upTo(7), `order ${order}`);
    assert.equal(world.questions.length, 0);
    world.sequencer.close();
  }
});

test('every loss among seven frames is filled from the history', async () => {
  for (let lost = 0; lost < 2 ** 7; lost++) {
    const world = new World();
    world.last = 8;
    for (const offset of upTo(7)) if (!(lost & (1 << (offset - 1)))) world.sequencer.push(frame(offset));
    world.sequencer.push(frame(8)); // tells of what was lost before it
    await world.reached(8);
    assert.deepEqual(world.told, upTo(8), `lost ${lost.toString(2)}`);
    assert.equal(world.questions.length === 0, lost === 0, `asked for what was not lost: ${lost.toString(2)}`);
    world.sequencer.close();
  }
});

test('every way in which an old and a new transport overlap', async () => {
  for (const order of merges(upTo(6), upTo(9, 4))) {
    const world = new World({ limits: { patienceMs: FOR_EVER } });
    for (const offset of order) world.sequencer.push(frame(offset));
    await world.reached(9);
    assert.deepEqual(world.told, upTo(9), `order ${order}`);
    assert.equal(world.questions.length, 0);
    world.sequencer.close();
  }
});

test('what a channel leaves out on purpose is no gap, what it lost is one', async () => {
  const world = new World({ from: 1 });
  world.last = 40;
  for (const [offset, prev] of [[2, 1], [10, 2], [15, 10]]) world.sequencer.push(frame(offset, prev));
  await world.reached(15);
  assert.deepEqual(world.told, [2, 10, 15]);
  assert.equal(world.questions.length, 0);
  world.sequencer.push(frame(30, 18)); // the channel's 18 was lost, and nothing between it and 30
  await world.reached(30);
  assert.deepEqual(world.told, [2, 10, 15, 16, 17, 18, 30]);
  assert.deepEqual(world.questions, [{ after: 15, before: 19, limit: 200 }]);
  world.sequencer.close();
});

test('600 streams at random: loss, repeats, disorder, two transports, slow handlers, a history that fails', async () => {
  for (let seed = 1; seed <= 600; seed++) {
    const dice = random(seed);
    const size = 1 + dice.below(80);
    const trimmed = dice.chance(0.2) ? dice.below(size) : 0;
    const limits = { ...AT_ONCE, maxHeld: 4 + dice.below(30), pageSize: 1 + dice.below(10) };
    const world = new World({
      limits,
      think: () => (dice.chance(0.3) ? turn() : undefined),
      answer: async () => {
        if (dice.chance(0.3)) await turn();
        if (dice.chance(0.1)) throw new SealcastError('overloaded', 'not now', { status: 503 });
      },
      room: () => (dice.chance(0.2) ? 1 + dice.below(3) : Infinity),
    });
    world.first = trimmed + 1;
    const carried = [0, 1].flatMap((transport) =>
      upTo(size)
        .filter((offset) => (transport === 0 ? offset < size * 0.7 : offset > size * 0.4))
        .filter(() => !dice.chance(0.2))
        .flatMap((offset) => (dice.chance(0.1) ? [offset, offset] : [offset])),
    );
    for (const offset of dice.jostled(carried.sort((a, b) => a - b), 6)) {
      world.last = Math.max(world.last, offset);
      world.sequencer.push(frame(offset));
      if (dice.chance(0.5)) await turn();
    }
    world.last = size;
    world.sequencer.catchUp();
    await world.reached(size).catch((error) => assert.fail(`seed ${seed}: ${error.message}`));
    const covered = world.told.flatMap((what) => {
      if (typeof what === 'number') return [what];
      const [from, to] = what.split('-').map(Number);
      assert.ok(to <= trimmed, `seed ${seed}: ${what} was not dropped by retention`);
      return upTo(to, from);
    });
    assert.deepEqual(covered, upTo(size), `seed ${seed}: ${world.told}`);
    world.sequencer.close();
  }
});

test('a reader that is slower than its transport keeps a bounded number of frames and misses none', async () => {
  let held = 0;
  const gate = { open: () => {} };
  const world = new World({
    limits: { ...AT_ONCE, maxHeld: 10, pageSize: 5 },
    think: () => new Promise((resolve) => (held++ === 0 ? (gate.open = resolve) : resolve())),
  });
  world.last = 500;
  for (const offset of upTo(500)) world.sequencer.push(frame(offset));
  assert.equal(world.questions.length, 0, 'what there is no room for is not asked for');
  gate.open();
  await world.reached(500);
  assert.deepEqual(world.told, upTo(500));
  world.sequencer.close();
});

test('catchUp() finds what no frame told of, once, and asks again when asked again', async () => {
  const world = new World({ limits: { ...AT_ONCE, pageSize: 3 } });
  world.last = 7;
  world.sequencer.catchUp();
  await world.reached(7);
  assert.deepEqual(world.told, upTo(7));
  assert.deepEqual(world.questions.map(({ after }) => after), [0, 3, 6]);
  world.last = 8;
  world.sequencer.catchUp();
  await world.reached(8);
  assert.deepEqual(world.told, upTo(8));
  world.sequencer.close();
});

test('what retention took is told in its place, once', async () => {
  const world = new World({ from: 2 });
  Object.assign(world, { first: 6, last: 9 });
  world.sequencer.expect(5); // as a reset frame says
  for (const offset of upTo(9, 6)) world.sequencer.push(frame(offset));
  await world.reached(9);
  assert.deepEqual(world.told, ['3-5', 6, 7, 8, 9]);
  world.sequencer.close();
});

test('a stream of which nothing is kept', async () => {
  const world = new World({ from: 2 });
  Object.assign(world, { first: 6, last: 5 });
  world.sequencer.catchUp();
  await world.reached(5);
  assert.deepEqual(world.told, ['3-5']);
  world.sequencer.push(frame(6));
  await world.reached(6);
  assert.deepEqual(world.told, ['3-5', 6]);
  world.sequencer.close();
});

test('a frame that the history does not have yet is waited for', async () => {
  const world = new World();
  world.sequencer.push(frame(3));
  await within('three questions', (async () => { while (world.questions.length < 3) await turn(); })());
  assert.deepEqual(world.told, []);
  world.last = 3;
  await world.reached(3);
  assert.deepEqual(world.told, [1, 2, 3]);
  world.sequencer.close();
});

test('rewind() is told before what follows, and offsets are taken anew', async () => {
  const world = new World();
  for (const offset of upTo(5)) world.sequencer.push(frame(offset));
  await world.reached(5);
  world.sequencer.rewind(2);
  for (const offset of [3, 4]) world.sequencer.push(frame(offset));
  await world.until('4 again', () => world.told.length === 8);
  assert.deepEqual(world.told, [1, 2, 3, 4, 5, 'back to 2', 3, 4]);
  assert.equal(world.sequencer.offset, 4);
  world.sequencer.close();
});

test('nothing is delivered before start() and after close()', async () => {
  const world = new World({ from: null });
  for (const offset of upTo(4)) world.sequencer.push(frame(offset));
  await turn();
  assert.deepEqual(world.told, []);
  assert.equal(world.sequencer.offset, null);
  world.sequencer.start(2);
  await world.reached(4);
  assert.deepEqual(world.told, [3, 4]);
  world.sequencer.close();
  world.sequencer.push(frame(5));
  await turn();
  assert.deepEqual(world.told, [3, 4]);
});
