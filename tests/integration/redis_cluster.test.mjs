// The gate, the event partitions and a worker on a Redis Cluster of three masters with a replica each: a killed node, a moved slot, and
// a sidecar that starts while a node of its settings is dead.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { message, send } from './http.mjs';
import { Load } from './load.mjs';
import { redisCheck, untilAccepted, untilReady, watchLog } from './redis_failover.mjs';
import { RedisCluster } from './redis_groups.mjs';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

let plane, stack, sidecar, cluster, worker;
before(async () => {
  const settings = (redis) => ({ SEALCAST_GATE_REDIS_URL: redis.url, SEALCAST_GATE_REDIS_PASSWORD_FILE: '' });
  plane = await EventPlane.create(settings, (stack) => RedisCluster.start(stack));
  ({ stack, sidecar, redis: cluster } = plane);
  worker = await plane.worker();
});
after(() => plane?.close());

test('messages of all slots are accepted, and the worker applies them', async () => {
  const room = await stack.stream();
  const answers = await Promise.all(Array.from({ length: 40 }, () => send(sidecar.url, stack.user(), message(room))));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  await plane.untilApplied();
  await plane.balances();
  const readers = await Promise.all(cluster.masters.map(async (master) => (await master.text('info', 'commandstats')).includes('cmdstat_xreadgroup')));
  assert.ok(readers.filter(Boolean).length >= 2, 'the event partitions are on several masters');
});

test('a slot is moved while its user sends: nothing is refused', async () => {
  const room = await stack.stream();
  const user = stack.user();
  assert.equal((await send(sidecar.url, user, message(room))).status, 200);
  const key = `{${user.id}}`;
  const { slot, owner, other } = await cluster.ownerOf(key);
  await other.command('cluster', 'setslot', `${slot}`, 'importing', owner.id);
  await owner.command('cluster', 'setslot', `${slot}`, 'migrating', other.id);
  const during = send(sidecar.url, user, message(room, 'while the slot moves'));
  const keys = await owner.command('cluster', 'getkeysinslot', `${slot}`, '100');
  if (keys.length > 0) await owner.command('migrate', '127.0.0.1', `${other.port}`, '', '0', '5000', 'keys', ...keys);
  for (const node of [other, owner]) await node.command('cluster', 'setslot', `${slot}`, 'node', other.id);
  assert.equal((await during).status, 200, (await during).text);
  assert.equal((await send(sidecar.url, user, message(room, 'after it'))).status, 200);
  await until('all nodes know the new owner', async () => (await cluster.ownerOf(key)).owner === other);
});

test('a master is killed under load: /readyz says so, its replica takes over, every message is stored once', { timeout: 60_000 }, async () => {
  const room = await stack.stream();
  const checkLogs = [sidecar, worker].map(watchLog);
  const load = new Load(stack, room, [sidecar.url]);
  await until('messages flow', () => load.acknowledged.size > 100);
  const [dead, , , replica] = cluster.nodes;
  const alive = cluster.nodes.slice(1);
  await replica.command('config', 'set', 'cluster-replica-no-failover', 'yes'); // until /readyz has told
  await dead.stop('SIGKILL');
  try {
    await until('/readyz names the share of the slots', async () => /^\d+ of 64 parts of the cluster's slots/.test(await redisCheck(sidecar)));
  } finally {
    await replica.command('config', 'set', 'cluster-replica-no-failover', 'no');
  }
  await until('the replica has taken over', () => cluster.complete(alive));
  await untilReady(sidecar);
  await untilAccepted(stack, sidecar, room);
  await load.stop();
  const refused = load.unacknowledged.length;
  assert.ok(refused > 0, 'the load has met the failure');
  await load.resend(sidecar.url);
  // untilAccepted() has sent messages that the load does not know.
  const stored = await stack.stored(room);
  assert.equal(new Set(stored).size, stored.length, 'no message is stored twice');
  for (const txnId of load.acknowledged.keys()) assert.ok(stored.includes(txnId));
  await plane.untilApplied();
  for (const check of checkLogs) check();
});

test('a sidecar and a worker that start while the first node of their settings is dead work', async () => {
  const room = await stack.stream();
  const late = await stack.sidecar({ ...plane.settings, SEALCAST_GATE_SOCKET: '' });
  try {
    await untilAccepted(stack, late, room, 40);
    await worker.stop();
    plane.workers.splice(0);
    await plane.worker();
    await plane.untilApplied();
  } finally {
    await late.stop();
  }
});

test('the killed node comes back as a replica', async () => {
  await cluster.nodes[0].start();
  await until('it is in step', () => cluster.complete(cluster.nodes));
  await untilReady(sidecar);
  await untilAccepted(stack, sidecar, await stack.stream());
});
