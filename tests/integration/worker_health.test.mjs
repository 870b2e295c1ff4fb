// What workers and sidecars report about the event plane: /readyz of a worker that is stuck, and series that end with their group or
// handler.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

let plane, stack;
before(async () => {
  plane = await EventPlane.create();
  stack = plane.stack;
});
after(() => plane?.close());

const users = (count) => Array.from({ length: count }, () => stack.user());
const metrics = async (process) => (await fetch(`${process.url}/metrics`)).text();
const readiness = async (worker) => {
  const answer = await fetch(`${worker.url}/readyz`);
  return { status: answer.status, ...(await answer.json()) };
};

test('a worker whose partition makes no progress is not ready, and names the partition', async () => {
  await plane.register('tally', { timeout: '1 s' });
  const worker = await plane.worker();
  const room = await stack.stream();
  await plane.say(room, users(20), ['first']);
  await plane.untilApplied();
  assert.deepEqual(await readiness(worker), { status: 200, ready: true, checks: { sealcastd: 'ok', postgres: 'ok', redis: 'ok', partitions: 'ok' } });
  const blocker = await stack.connect();
  try {
    await blocker.query('begin; select from sealcast_internal.event_leases where partition = 2 for update');
    await plane.say(room, users(20), ['second']);
    const stuck = await until('the worker is stuck', async () => {
      const answer = await readiness(worker);
      return answer.status === 503 && answer;
    }, 30_000);
    assert.match(stuck.checks.partitions, /^no event was finished in partition 2 for \d+ s$/);
    assert.equal((await fetch(`${worker.url}/healthz`)).status, 200);
  } finally {
    await blocker.end();
  }
  await until('the worker is ready again', async () => (await readiness(worker)).status === 200);
  await plane.untilApplied();
  await plane.balances();
  plane.redis.signal('SIGSTOP');
  try {
    await until('a frozen Redis is named', async () => (await readiness(worker)).checks.redis !== 'ok', 30_000);
  } finally {
    plane.redis.signal('SIGCONT');
  }
  await until('the worker is ready again', async () => (await readiness(worker)).status === 200, 30_000);
  await stack.stop('postgres', 'SIGINT');
  try {
    await until('a stopped Postgres is named', async () => (await readiness(worker)).checks.postgres !== 'ok', 30_000);
    await until('no lease is held then', async () => /^sealcast_worker_partitions 0$/m.test(await metrics(worker)));
  } finally {
    await stack.startPostgres();
  }
  await until('the worker is ready again', async () => (await readiness(worker)).status === 200, 30_000);
  await worker.stop();
  plane.workers.length = 0;
});

test('the series of a destroyed group and of an unregistered handler end', async () => {
  await plane.register('extra');
  await plane.register('other', { group: 'others' });
  const worker = await plane.worker();
  const room = await stack.stream();
  await plane.say(room, users(5), ['x']);
  await until('the worker shows the handler', async () => (await metrics(worker)).includes('handler="extra",outcome="applied"'));
  await until('the sidecar shows the group', async () => /^sealcast_events_unread\{group="others"\} [1-9]/m.test(await metrics(plane.sidecar)));
  await stack.query("select sealcast.unregister_handler('extra'), sealcast.unregister_handler('other')");
  for (let n = 0; n < 4; n++) await plane.redis.command('xgroup', 'destroy', `sealcast:events:${n}`, 'others');
  await until('the series of the group end', async () => !(await metrics(plane.sidecar)).includes('group="others"'));
  await until('the series of the handler end', async () => !(await metrics(worker)).includes('handler="extra"'));
  assert.match(await metrics(worker), /handler="tally",outcome="applied"/);
  await worker.stop();
  plane.workers.length = 0;
});

test('a number of unread events that Redis does not know is not shown as 0', async () => {
  await plane.register('other', { group: 'gaps' });
  const room = await stack.stream();
  const people = users(40);
  await plane.say(room, people, ['x']);
  const unread = async () => (await metrics(plane.sidecar)).match(/^sealcast_events_unread\{group="gaps"\} (.*)$/m)?.[1];
  await until('the group has unread events', async () => Number(await unread()) >= 40);
  // The group has read the first entry of each partition, and a later entry is deleted: Redis then reports no lag.
  for (let n = 0; n < 4; n++) {
    const key = `sealcast:events:${n}`;
    await plane.redis.command('xreadgroup', 'group', 'gaps', 'reader', 'count', '1', 'streams', key, '>');
    const entries = await plane.redis.command('xrange', key, '-', '+');
    await plane.redis.command('xdel', key, entries.at(-2)[0]);
  }
  await until('the number is unknown', async () => (await unread()) === 'Nan' || (await unread()) === 'NaN');
  assert.match(await metrics(plane.sidecar), /^sealcast_events_oldest_seconds\{group="gaps"\} 0?\.?[0-9]*[1-9]/m);
  // What the group has read is known again when nothing is left.
  for (let n = 0; n < 4; n++) {
    await plane.redis.command('xreadgroup', 'group', 'gaps', 'reader', 'count', '1000', 'streams', `sealcast:events:${n}`, '>');
  }
  await until('nothing is unread', async () => (await unread()) === '0');
});
