// Event partitions that another worker takes over while the first is still working: each event has its effect once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Database, Worker, admit, makeStreams } from './sql_database.mjs';
import { until } from './waiting.mjs';

let database;
let client;
let stream;

before(async () => {
  database = await Database.create();
  client = await database.connect();
  [stream] = await makeStreams(client, 1);
  await client.query(`
    create table public.applied (txn_id uuid);
    create function public.note(e sealcast.event) returns void language sql security definer
      as 'insert into public.applied values (e.txn_id)';
    create function public.fail_at_length(e sealcast.event) returns void language plpgsql security definer
      as $$ begin raise exception '%', repeat('x', 16000); end $$`);
});
after(() => database?.drop());

const one = async (sql, parameters) => (await client.query(sql, parameters)).rows[0];

// Makes a new group with its handler, and workers with these names. The lease exists, but no worker holds it.
async function makeWorkers(names, handler = 'note') {
  const group = `g${randomUUID()}`;
  await client.query("select sealcast.register_handler($1, 'chat', $2, group_name => $1)", [group, `public.${handler}(sealcast.event)`]);
  const connect = async (name) => new Worker(await database.connect(), name, group);
  const first = await connect('first holder');
  await first.claim(600_000);
  await client.query('select sealcast_internal.release_partitions($1, $2)', [group, first.name]);
  return Promise.all(names.map(connect));
}

async function write(count = 1, filling) {
  const verdicts = await admit(client, Array.from({ length: count }, () => ({ stream, sender: randomUUID(), d: { filling } })));
  assert(verdicts.every((verdict) => verdict.status === 200));
  return verdicts.map((verdict) => verdict.envelope);
}

const timesApplied = async (envelope) =>
  Number((await one('select count(*) from public.applied where txn_id = $1', [JSON.parse(envelope).txn_id])).count);
const finishedTo = async ({ group }) =>
  (await one('select finished_to from sealcast_internal.event_leases where group_name = $1', [group])).finished_to;
const untilExpired = ({ group }) =>
  until('the lease has expired', async () =>
    (await one('select lease_until < clock_timestamp() as out from sealcast_internal.event_leases where group_name = $1', [group])).out);
const untilClaimed = (worker) => until('the lease has expired', () => worker.claim(600_000));

test('a partition with an uncommitted claim is not given to another worker, and is free after a rollback', async () => {
  const [first, second] = await makeWorkers(['first', 'second']);
  for (const [end, heldBySecond] of [['rollback', true], ['commit', false]]) {
    await first.client.query('begin');
    assert(await first.claim(600_000));
    assert.equal(await second.claim(600_000), false, 'the other claim does not wait');
    await first.client.query(end);
    assert.equal(await second.claim(600_000), heldBySecond, end);
    await second.client.query('select sealcast_internal.release_partitions($1, $2)', [second.group, second.name]);
  }
});

test('apply_events() waits for an uncommitted takeover, and applies nothing after its commit', { timeout: 60_000 }, async () => {
  for (const end of ['rollback', 'commit']) {
    const [envelope] = await write();
    const [late, successor] = await makeWorkers(['late', 'successor']);
    assert(await late.claim(100));
    await untilExpired(late);
    await successor.client.query('begin');
    assert(await successor.claim(600_000));
    const { pid } = (await late.client.query('select pg_backend_pid() as pid')).rows[0];
    const applying = late.apply([envelope]);
    await until('apply_events() waits', async () =>
      (await one('select wait_event_type as type from pg_stat_activity where pid = $1', [pid])).type === 'Lock');
    await successor.client.query(end);
    assert.deepEqual(await applying, end === 'rollback' ? ['applied'] : null, end);
    assert.equal(await timesApplied(envelope), end === 'rollback' ? 1 : 0);
  }
});

test('apply_events() waits while a handler is registered, and applies nothing under the old lease then', { timeout: 60_000 }, async () => {
  const [envelope] = await write();
  const [worker] = await makeWorkers(['worker']);
  assert(await worker.claim(600_000));
  const admin = await database.connect();
  await admin.query('begin');
  const register = "select sealcast.register_handler($1, null, 'public.note(sealcast.event)', group_name => $2)";
  await admin.query(register, [`h${randomUUID()}`, worker.group]);
  const { pid } = (await worker.client.query('select pg_backend_pid() as pid')).rows[0];
  const applying = worker.apply([envelope]);
  await until('apply_events() waits', async () => (await one('select wait_event_type from pg_stat_activity where pid = $1', [pid])).wait_event_type === 'Lock');
  await admin.query('commit');
  assert.equal(await applying, null);
  assert.equal(await timesApplied(envelope), 0);
});

for (const level of ['repeatable read', 'serializable']) {
  test(`a ${level} claim by an old snapshot takes no partition from a later holder`, async () => {
    const [stale, current] = await makeWorkers(['stale', 'current']);
    await stale.client.query(`begin isolation level ${level}`);
    await stale.client.query('select from sealcast_internal.event_leases'); // the snapshot in which the partition is free
    assert(await current.claim(600_000));
    await assert.rejects(stale.claim(600_000), { code: '40001' });
    await stale.client.query('rollback');
    assert.equal(await stale.claim(600_000), false);
  });

  for (const [what, act] of [['apply', (worker, envelope) => worker.apply([envelope])], ['finish', (worker) => worker.finish(9000)]]) {
    test(`${what} in a ${level} transaction with an old snapshot changes nothing after a takeover`, async () => {
      const [envelope] = await write();
      const [late, successor] = await makeWorkers(['late', 'successor']);
      assert(await late.claim(100));
      await late.client.query(`begin isolation level ${level}`);
      await late.client.query('select from sealcast_internal.event_leases'); // the snapshot in which the partition is its own
      await untilClaimed(successor);
      await successor.finish(5000);
      assert.deepEqual(await successor.apply([envelope]), ['applied']);
      const got = await act(late, envelope).catch((error) => error.code);
      assert(got === null || got === '40001', JSON.stringify(got));
      await late.client.query('rollback');
      assert.equal(await timesApplied(envelope), 1);
      assert.equal(await finishedTo(successor), '5000');
    });
  }
}

for (const end of ['commit', 'rollback']) {
  test(`a partition whose lease expires while events are applied is not taken over before the ${end}`, async () => {
    const [envelope] = await write();
    const [slow, successor] = await makeWorkers(['slow', 'successor']);
    assert(await slow.claim(100));
    await slow.client.query('begin');
    assert.deepEqual(await slow.apply([envelope]), ['applied']);
    await untilExpired(slow);
    assert.equal(await successor.claim(600_000), false, 'the partition is locked');
    await slow.client.query(end);
    assert(await successor.claim(600_000));
    assert.deepEqual(await successor.apply([envelope]), [end === 'commit' ? 'repeated' : 'applied']);
    assert.equal(await timesApplied(envelope), 1);
    assert.equal(await slow.apply([envelope]), null, 'the old holder applies nothing any more');
  });

  test(`a partition whose lease expires while it is marked as finished is not taken over before the ${end}`, async () => {
    const [slow, successor] = await makeWorkers(['slow', 'successor']);
    assert(await slow.claim(100));
    await slow.client.query('begin');
    await slow.finish(5000);
    await untilExpired(slow);
    assert.equal(await successor.claim(600_000), false, 'the partition is locked');
    await slow.client.query(end);
    assert(await successor.claim(600_000));
    assert.equal(await finishedTo(successor), end === 'commit' ? '5000' : null);
    await slow.finish(9000);
    assert.equal(await finishedTo(successor), end === 'commit' ? '5000' : null, 'the old holder finishes nothing any more');
  });
}

test('a worker that freezes past its lease changes nothing when it wakes', async () => {
  const [envelope] = await write();
  const [frozen, successor] = await makeWorkers(['frozen', 'successor']);
  assert(await frozen.claim(100));
  await untilClaimed(successor);
  await successor.finish(5000);
  const leases = 'select * from sealcast_internal.event_leases where group_name = $1';
  const untouched = await one(leases, [frozen.group]);
  assert.equal(await frozen.apply([envelope]), null, 'it applies nothing');
  const failing = [frozen.group, frozen.epoch, envelope];
  const { rows } = await frozen.client.query("select sealcast_internal.fail_event($1, $1, 0, $2, $3, 1, 'late') as counted", failing);
  assert.equal(rows[0].counted, null, 'it counts no failure');
  await frozen.finish(9000);
  await frozen.client.query('select sealcast_internal.release_partitions($1, $2)', [frozen.group, frozen.name]);
  assert.deepEqual(await one(leases, [frozen.group]), untouched, 'the lease is unchanged');
  assert.equal(await frozen.claim(600_000), false, 'it does not get the partition back');
  assert.deepEqual(await successor.apply([envelope]), ['applied']);
  assert.equal(await timesApplied(envelope), 1);
});

test('a worker that freezes while it receives the outcomes is replaced', { timeout: 60_000 }, async () => {
  const envelopes = await write(1000);
  const [frozen, successor] = await makeWorkers(['frozen', 'successor'], 'fail_at_length');
  assert(await frozen.claim(100));
  const { pid } = (await frozen.client.query('select pg_backend_pid() as pid')).rows[0];
  frozen.client.connection.stream.pause();
  const cut = assert.rejects(frozen.apply(envelopes));
  await until('its backend waits for the client', async () =>
    (await one('select wait_event from pg_stat_activity where pid = $1', [pid]))?.wait_event === 'ClientWrite');
  await untilClaimed(successor);
  frozen.client.connection.stream.resume();
  await cut;
  assert.deepEqual(new Set(await successor.apply(envelopes)), new Set(['failed']));
  const { most } = await one('select max(attempts) as most from sealcast.event_attempts where handler = $1', [frozen.group]);
  assert.equal(most, 1, 'the interrupted attempt is not counted');
});

test('a settle that was on its way does not undo a rewind', { timeout: 60_000 }, async () => {
  const [relay, rewinding] = [await database.connect(), await database.connect()];
  const { rows: [{ epoch }] } = await relay.query("select epoch from sealcast_internal.claim_shards('relay', 600000) where shard = 0");
  await client.query(`
    insert into sealcast_internal.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
    select 0, batch, 1, 1000 * batch, '1:1:', '0', 0, 0, '{}', '{}', '{}' from generate_series(1, 10) batch;
    insert into sealcast.deliveries values ('redis_events', 0, 9, now(), now());
    update sealcast.event_handlers set active = false; -- those of the other tests
    insert into sealcast.event_handlers (name, function, batch_size, max_attempts, timeout, group_name, registered_at)
    values ('early', 'public.note(sealcast.event)', 10, 5, '1 s', 'early', to_timestamp(5.5))`);
  await rewinding.query('begin');
  await rewinding.query('select sealcast_internal.rewind_events((select losses from sealcast_internal.event_losses))');
  const { pid } = (await relay.query('select pg_backend_pid() as pid')).rows[0];
  const settling = relay.query("select sealcast_internal.settle('redis_events', '{0}', array[$1::bigint], '{10}')", [epoch]);
  await until('settle() waits', async () => (await one('select wait_event_type from pg_stat_activity where pid = $1', [pid])).wait_event_type === 'Lock');
  await rewinding.query('commit');
  await settling;
  assert.equal((await one("select batch from sealcast.deliveries where transport = 'redis_events' and shard = 0")).batch, '5');
});
