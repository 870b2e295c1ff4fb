// Tests the checks for the times in which no fault disturbs a sidecar.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCalm, disturbs } from './calm.mjs';
import { allFaults } from './schedule.mjs';

const SECONDS = 60;
const steady = () => ['a', 'b'].flatMap((url) => Array.from({ length: SECONDS * 2 }, (_, i) => ({ url, status: 200, began: i * 500, ended: i * 500 + 10 })));
const within = (from, to) => ({ began }) => began >= from && began <= to;

// The guarantees that are violated, by a load that stops at sidecar `a` between the two times.
function violated({ faults, stopped: [from, to] = [0, -1], calls = [], list }) {
  const history = { attempts: steady(), reads: steady(), calls, faults, run: { urls: ['a', 'b'], began: 0, ended: SECONDS * 1000 } };
  if (list) history[list] = history[list].filter((entry) => entry.url === 'b' || !within(from, to)(entry));
  const found = [];
  checkCalm(history, (guarantee) => found.push(guarantee));
  return [...new Set(found)];
}
const fault = (name, target, injected, removed) => ({ fault: name, target, injected, removed });
const held = [fault('hold-rows', 'moderator', 10_000, 15_000)];

test('a steady load beside a fault elsewhere violates nothing', () => {
  assert.deepEqual(violated({ faults: held }), []);
});

for (const [list, guarantee] of [['attempts', 'a fault elsewhere stops no message'], ['reads', 'a fault elsewhere stops no read']]) {
  test(`a violation is reported: ${guarantee}`, () => {
    assert.deepEqual(violated({ faults: held, list, stopped: [10_000, 15_000] }), [guarantee]);
    assert.deepEqual(violated({ faults: [fault('kill', 'sidecar-b', 10_000, 15_000)], list, stopped: [10_000, 15_000] }), [guarantee], 'of the other sidecar');
    assert.deepEqual(violated({ faults: [fault('silence', 'resolver', 10_000, 30_000)], list, stopped: [18_000, 22_500] }), [guarantee], 'after the time to connect again');
    assert.deepEqual(violated({ faults: [fault('hang', 'first-host-a', 10_000, 30_000)], list, stopped: [20_000, 24_500] }), [guarantee], 'after connect_timeout and that');
    assert.deepEqual(violated({ faults: [fault('kill', 'redis', 10_000, 12_000)], list, stopped: [10_000, 24_500] }), [guarantee], 'long after a fault');
  });
}

test('a fault of a part that the sidecar needs may stop messages and reads', () => {
  for (const [name, target] of [['kill', 'sidecar-a'], ['freeze', 'postgres'], ['kill', 'redis'], ['hang', 'first-host-a'], ['silence', 'resolver']]) {
    const faults = [fault(name, target, 10_000, 12_000)];
    for (const list of ['attempts', 'reads']) assert.deepEqual(violated({ faults, list, stopped: [10_000, 17_000] }), [], target);
  }
});

test('a violation is reported: a call of moderation has no answer, or another than 503', () => {
  const guarantee = ['a call of moderation is carried out or refused with 503'];
  const call = (status, began) => [{ name: 'mute', url: 'a', status, began, ended: began + 1000 }];
  for (const status of [200, 204, 429, 503]) assert.deepEqual(violated({ faults: held, calls: call(status, 11_000) }), [], status);
  for (const status of [0, 500, 403]) assert.deepEqual(violated({ faults: held, calls: call(status, 11_000) }), guarantee, status);
  const killed = [fault('kill', 'sidecar-a', 10_000, 12_000)];
  assert.deepEqual(violated({ faults: killed, calls: call(0, 11_000) }), []);
  assert.deepEqual(violated({ faults: killed, calls: call(500, 11_000) }), guarantee);
});

test('each fault that disturbs no sidecar is of an outside service, of readers, of a log, or of a moderator', () => {
  const harmless = allFaults.filter((each) => !disturbs(each, 'a') && !disturbs(each, 'b')).map(({ target }) => target);
  assert.deepEqual(new Set(harmless), new Set(['link-mosquitto', 'link-redis-target', 'log-a', 'log-b', 'moderator', 'mosquitto', 'readers-a', 'readers-b', 'redis-target']));
});
