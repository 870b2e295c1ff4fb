// The number of event partitions belongs to Postgres: sidecars and workers with other settings use it, and it can be changed under load.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

let plane, stack;
before(async () => {
  plane = await EventPlane.create();
  stack = plane.stack;
  await until('the sidecar has recorded its number', async () => (await stack.query('select from sealcast_internal.event_losses where partitions = 4')).length === 1);
});
after(() => plane?.close());

const users = (count) => Array.from({ length: count }, () => stack.user());
const withPartitions = (count) => ({ ...plane.settings, SEALCAST_REDIS_EVENTS_PARTITIONS: String(count), SEALCAST_GATE_SOCKET: '' });
const warning = (setting, used) => (line) => {
  const { level, ...fields } = JSON.parse(line);
  return level === 'warn' && line.includes('set_event_partitions') && fields['redis_events.partitions'] === setting && fields.in_postgres === used;
};
const leases = async () => (await stack.query("select count(*)::int as n from sealcast_internal.event_leases where group_name = 'default' and lease_until > clock_timestamp()"))[0].n;

test('processes with another redis_events.partitions use the number of Postgres, and say so', async () => {
  const more = await stack.worker('default', withPartitions(9));
  const fewer = await stack.worker('default', withPartitions(2));
  const sidecar = await stack.sidecar(withPartitions(3));
  const room = await stack.stream();
  await plane.say(room, users(40), ['a', 'b']);
  await plane.untilApplied({}, 30_000);
  await plane.balances();
  for (const [process, setting] of [[more, 9], [fewer, 2], [sidecar, 3]]) {
    await until(`the process with ${setting} partitions logs both numbers`, () => process.log.some(warning(setting, 4)));
  }
  const { stdout } = await stack.replay(['--from', '1', '--stream', room], withPartitions(7));
  assert.match(stdout, /^80 of 80 messages/m);
  assert.equal(await plane.redis.command('exists', ...[4, 5, 6, 7, 8].map((n) => `sealcast:events:${n}`)), 0);
  // The sidecar with another setting leads when it is alone.
  await plane.sidecar.stop();
  await plane.say(room, users(40), ['c']);
  await plane.untilApplied({}, 30_000);
  await plane.balances();
  assert.equal(await plane.redis.command('exists', 'sealcast:events:4'), 0);
  await Promise.all([more.stop(), fewer.stop()]);
  plane.sidecar = await stack.sidecar(plane.settings);
  await sidecar.stop();
});

test('the number of partitions changes under load, without a lost, repeated or disordered event', async () => {
  await plane.worker();
  await plane.worker();
  const rooms = [await stack.stream(), await stack.stream()];
  const people = users(30);
  for (const count of [7, 2, 5]) {
    for (let round = 0; round < 6; round++) for (const room of rooms) await plane.say(room, people, ['a', 'b', 'c', 'd', 'e']);
    await stack.query('select sealcast.set_event_partitions($1)', [count]);
    for (let round = 0; round < 6; round++) for (const room of rooms) await plane.say(room, people, ['f', 'g']);
    await until(`the workers lease ${count} partitions`, async () => (await leases()) === count);
    await plane.untilApplied({}, 60_000);
    await plane.balances();
  }
  assert.deepEqual(await stack.query('select from sealcast.event_dead_letters'), []);
  await until('the sidecar says so', () => plane.sidecar.log.some((line) => line.includes('the number of event partitions has changed') && line.includes('"now":5')));
  for (const worker of plane.workers.splice(0)) await worker.stop();
});
