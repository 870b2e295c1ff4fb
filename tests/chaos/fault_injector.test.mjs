// Tests the fault injector: a target has one fault at a time, and a failing fault is reported and stops no other fault.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultInjector } from './fault_injector.mjs';

const event = (at, target) => ({ at, fault: 'kill', target, duration: 0 });
const injectAll = async (events, inject, limit) => {
  const injector = new FaultInjector({ inject }, () => {}, limit);
  await injector.run(events);
  return injector;
};

test('the second fault of a target waits until the first is removed', async () => {
  const order = [];
  const { faults, violations } = await injectAll([event(0, 'a'), event(1, 'a')], async () => {
    order.push('injected');
    return async () => {
      await new Promise(setImmediate);
      order.push('removed');
    };
  });
  assert.deepEqual(order, ['injected', 'removed', 'injected', 'removed']);
  assert.ok(faults[0].injected <= faults[0].removed && faults[0].removed <= faults[1].injected);
  assert.deepEqual(violations, []);
});

const failFor = (target) => {
  if (target === 'a') throw new Error('no such part');
};
for (const [action, inject] of Object.entries({
  injected: async ({ target }) => failFor(target) ?? (() => {}),
  removed: async ({ target }) => async () => failFor(target),
})) {
  test(`a fault that cannot be ${action} is reported, and the other faults continue`, async () => {
    const { faults, violations } = await injectAll([event(0, 'a'), event(1, 'b'), event(2, 'a')], inject);
    assert.deepEqual(violations.map(({ guarantee }) => guarantee), ['the system recovers', 'the system recovers']);
    assert.match(violations[0].details, /^kill a: Error: no such part/);
    assert.deepEqual(faults.filter(({ removed }) => removed).map(({ target }) => target), ['b']);
  });
}

const never = new Promise(() => {});
for (const [action, inject] of Object.entries({ injected: ({ target }) => (target === 'a' ? never : () => {}), removed: async ({ target }) => () => target === 'a' && never })) {
  test(`a fault that is never ${action} is reported, and the run ends`, async () => {
    const { faults, violations } = await injectAll([event(0, 'a'), event(1, 'b')], inject, 50);
    assert.equal(violations.length, 1);
    assert.match(violations[0].details, new RegExp(`^kill a: Error: not within 50 ms: the fault is ${action}`));
    assert.deepEqual(faults.filter(({ removed }) => removed).map(({ target }) => target), ['b']);
  });
}
