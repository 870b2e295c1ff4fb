// Tests the schedule of faults: it depends on the seed, a target has one fault at a time, and every fault occurs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHAPES, SHORT, allFaults, faultsOf, schedule, shapeOf } from './schedule.mjs';

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

test('the short schedule contains every fault of a single Redis, with and without the faults that need root', () => {
  assert.equal(shapeOf(SHORT.seed), 'single');
  const single = faultsOf('single');
  for (const faults of [single, single.filter(({ group }) => !group)]) {
    const scheduled = new Set(schedule(SHORT.seed, SHORT.seconds * 1000, faults).map(name));
    assert.deepEqual(scheduled, new Set(faults.map(name)), 'this list of faults needs another seed');
  }
});

test('a fault that is not in the list does not occur', () => {
  const faults = allFaults.filter(({ group }) => group !== 'disk');
  assert.ok(schedule(1, 600_000, faults).every(({ fault }) => fault !== 'fill-disk'));
});

test('the seeds draw each shape of Redis, and each fault belongs to a shape', () => {
  assert.deepEqual(new Set([0, 1, 2].map(shapeOf)), new Set(SHAPES));
  assert.deepEqual(new Set(SHAPES.flatMap((shape) => faultsOf(shape)).map(name)), new Set(allFaults.map(name)));
  assert.ok(faultsOf('cluster').some(({ fault }) => fault === 'move-slot'));
  for (const shape of ['single', 'sentinel']) assert.ok(faultsOf(shape).every(({ fault }) => fault !== 'move-slot'), shape);
});

test('faults are chosen by their name, by their target, or by both', () => {
  assert.deepEqual(faultsOf('single', 'hang').map(name), ['hang first-host-a', 'hang first-host-b']);
  assert.deepEqual(faultsOf('single', 'kill redis, moderator').map(name), ['hold-rows moderator', 'kill redis']);
  for (const unknown of ['kill moderator', 'move-slot', 'hangs']) {
    assert.throws(() => faultsOf('single', `hang,${unknown}`), new RegExp(`"${unknown}"; there are: kill sidecar-a, `));
  }
});

test('an unknown shape is refused', () => {
  assert.throws(() => faultsOf('ring'), /"ring" is none of single, cluster, sentinel/);
});
