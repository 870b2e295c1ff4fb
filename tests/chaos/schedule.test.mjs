// Tests the schedule of faults: it depends on the seed, a target has one fault at a time, and every fault occurs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHORT, allFaults, schedule } from './schedule.mjs';

const name = ({ fault, target }) => `${fault} ${target}`;

test('the same seed gives the same schedule, and another seed gives another one', () => {
  assert.deepEqual(schedule(7, 120_000), schedule(7, 120_000));
  assert.notDeepEqual(schedule(7, 120_000), schedule(8, 120_000));
});

test('the faults are in order and within the time, and a target has one fault at a time', () => {
  for (let seed = 0; seed < 200; seed++) {
    const busyUntil = new Map();
    let last = 0;
    for (const { at, target, duration } of schedule(seed, 60_000)) {
      assert.ok(at >= last && duration >= 0 && at + duration <= 60_000, `seed ${seed}`);
      assert.ok(!(busyUntil.get(target) > at), `seed ${seed}: ${target} has two faults at a time`);
      busyUntil.set(target, at + duration);
      last = at;
    }
  }
});

test('every fault occurs once before any fault occurs a second time', () => {
  const counts = new Map();
  for (const event of schedule(3, 300_000)) {
    counts.set(name(event), (counts.get(name(event)) ?? 0) + 1);
    if (counts.get(name(event)) === 2) break;
  }
  assert.deepEqual(new Set(counts.keys()), new Set(allFaults.map(name)));
});

test('the short schedule contains every fault, with and without the faults that need root', () => {
  for (const faults of [allFaults, allFaults.filter(({ group }) => !group)]) {
    const scheduled = new Set(schedule(SHORT.seed, SHORT.seconds * 1000, faults).map(name));
    assert.deepEqual(scheduled, new Set(faults.map(name)), 'this list of faults needs another seed');
  }
});

test('a fault that is not in the list does not occur', () => {
  const faults = allFaults.filter(({ group }) => group !== 'disk');
  assert.ok(schedule(1, 600_000, faults).every(({ fault }) => fault !== 'fill-disk'));
});
