// Strikes by a schedule: one thing is struck once at a time, and what does not mend is told and ends nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Strikes } from './strikes.mjs';

const event = (at, on) => ({ at, fault: 'kill', on, lasts: 0 });
const struck = async (events, strike) => {
  const strikes = new Strikes({ strike }, () => {});
  await strikes.run(events);
  return strikes;
};

test('what strikes the same waits until it is mended', async () => {
  const order = [];
  const { faults, problems } = await struck([event(0, 'a'), event(1, 'a')], async () => {
    order.push('struck');
    return async () => {
      await new Promise(setImmediate);
      order.push('mended');
    };
  });
  assert.deepEqual(order, ['struck', 'mended', 'struck', 'mended']);
  assert.ok(faults[0].struck <= faults[0].mended && faults[0].mended <= faults[1].struck);
  assert.deepEqual(problems, []);
});

const fail = (on) => {
  if (on === 'a') throw new Error('no such part');
};
for (const [what, strike] of Object.entries({
  'cannot be struck': async ({ on }) => fail(on) ?? (() => {}),
  'does not mend': async ({ on }) => async () => fail(on),
})) {
  test(`what ${what} is told, and the rest is struck and mended`, async () => {
    const { faults, problems } = await struck([event(0, 'a'), event(1, 'b'), event(2, 'a')], strike);
    assert.deepEqual(problems.map(({ promise }) => promise), ['the system mends', 'the system mends']);
    assert.match(problems[0].what, /^kill a: Error: no such part/);
    assert.deepEqual(faults.filter(({ mended }) => mended).map(({ on }) => on), ['b']);
  });
}
