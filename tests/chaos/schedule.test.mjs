// The schedule of faults: a seed is a schedule, nothing is struck twice at once, and everything has its turn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHORT, menu, schedule } from './schedule.mjs';

const name = ({ fault, on }) => `${fault} ${on}`;

test('a seed is a schedule, and another seed another', () => {
  assert.deepEqual(schedule(7, 120_000), schedule(7, 120_000));
  assert.notDeepEqual(schedule(7, 120_000), schedule(8, 120_000));
});

test('each fault lies within the time, in order, and strikes nothing that is struck already', () => {
  for (let seed = 0; seed < 200; seed++) {
    const busy = new Map();
    let last = 0;
    for (const { at, on, lasts } of schedule(seed, 60_000)) {
      assert.ok(at >= last && lasts >= 0 && at + lasts <= 60_000, `seed ${seed}`);
      assert.ok(!(busy.get(on) > at), `seed ${seed}: ${on} is struck twice at once`);
      busy.set(on, at + lasts);
      last = at;
    }
  }
});

test('everything on the menu has its turn before anything has its second', () => {
  const turns = new Map();
  for (const event of schedule(3, 300_000)) {
    turns.set(name(event), (turns.get(name(event)) ?? 0) + 1);
    if (turns.get(name(event)) === 2) break;
  }
  assert.deepEqual(new Set(turns.keys()), new Set(menu.map(name)));
});

test('everything on the menu strikes in the short run, as root and without', () => {
  for (const faults of [menu, menu.filter(({ group }) => !group)]) {
    const struck = new Set(schedule(SHORT.seed, SHORT.seconds * 1000, faults).map(name));
    assert.deepEqual(struck, new Set(faults.map(name)), 'this menu needs another seed');
  }
});

test('what is left off the menu never strikes', () => {
  const left = menu.filter(({ group }) => group !== 'disk');
  assert.ok(schedule(1, 600_000, left).every(({ fault }) => fault !== 'fill-disk'));
});
