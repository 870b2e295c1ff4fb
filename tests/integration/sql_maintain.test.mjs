// Maintenance in steps: a step undoes no other step, reads a bounded number of pages, and collides with no other caller.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Database, maintain } from './sql_database.mjs';
import { until } from './waiting.mjs';

const PAGES = 1000; // in a step, see next_pages()
let database;
let client;

const query = async (sql, parameters) => (await client.query(sql, parameters)).rows;
const one = async (sql, parameters) => Object.values((await query(sql, parameters))[0])[0];
const call = async (by = client) => (await by.query('select action, object from sealcast.maintain()')).rows;
const trimmed = (rows, table) =>
  rows.filter((row) => row.action === 'trimmed' && row.object.endsWith(` rows of ${table}`)).map((row) => parseInt(row.object, 10));
const keys = () => one('select count(*)::int from sealcast.txn_keys');

// Adds keys of this age, in the order in which admission adds them.
const addKeys = (count, age) => query(
  `insert into sealcast.txn_keys select gen_random_uuid(), gen_random_uuid(), extract(epoch from now() - $2::interval)::bigint * 1000, n, sha256(n::text::bytea)
   from generate_series(1, $1) n`, [count, age]);
// As if maintenance had last passed over the table a day ago.
const passIsLate = () => query("update sealcast_internal.trim_passes set began_at = began_at - interval '1 day'");
// The pages that a call reads or finds in the buffers, with those of all statements in it.
async function pagesOf(sql) {
  const [{ 'QUERY PLAN': [{ Plan: plan }] }] = await query(`explain (analyze, buffers, format json) ${sql}`);
  return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
}

before(async () => {
  database = await Database.create();
  client = await database.connect();
});
afterEach(async () => {
  await query('truncate sealcast.txn_keys, sealcast_internal.trim_passes');
  await maintain(client);
});
after(() => database?.drop());

test('a backlog of 300,000 old keys is trimmed in calls of at most 1,000 pages', async () => {
  await addKeys(300_000, '8 days');
  await addKeys(1_000, '6 days');
  await passIsLate();
  const pages = await one("select (pg_relation_size('sealcast.txn_keys') / 8192)::int");
  assert(pages > 4 * PAGES, `${pages} pages`);
  const steps = [];
  for (let rows = await call(); ; rows = await call()) {
    steps.push(...trimmed(rows, 'sealcast.txn_keys'));
    if (rows.at(-1)?.action !== 'unfinished') break;
  }
  assert.equal(steps.length, Math.ceil(pages / PAGES));
  assert(Math.max(...steps) <= PAGES * Math.ceil(301_000 / pages), steps.join());
  assert.equal(await keys(), 1_000, 'younger keys are kept');
});

test('after several retention cycles, a step still reads only its pages', async () => {
  // Each cycle ages all keys by two days, removes the expired ones, and lets new keys take their space.
  for (let cycle = 0; cycle < 5; ++cycle) {
    await addKeys(30_000, '0');
    await query('update sealcast.txn_keys set ts = ts - 2 * 86400000');
    await passIsLate();
    await maintain(client);
    await query('vacuum sealcast.txn_keys');
  }
  const pages = await one("select (pg_relation_size('sealcast.txn_keys') / 8192)::int");
  assert(pages > 2 * PAGES, `${pages} pages`);
  const old = await one("select count(*)::int from sealcast.txn_keys where ts < extract(epoch from now() - interval '7 days')::bigint * 1000");
  assert.equal(old, 0);
  assert(await pagesOf("select * from sealcast_internal.trim_txn_keys('7 days')") < PAGES + 100);
  // The table has no index other than its key, which trimming does not read.
  assert.deepEqual(await query("select indexrelid::regclass::text as name from pg_index where indrelid = 'sealcast.txn_keys'::regclass"),
    [{ name: 'sealcast.txn_keys_pkey' }]);
});

test('a pass is spread over a day: each maintenance moves it on by a step, and further only when it is late', async () => {
  await addKeys(300_000, '1 hour');
  const place = async () => (await query("select next_page::int from sealcast_internal.trim_passes where table_name = 'sealcast.txn_keys'"))[0]?.next_page ?? 0;
  await maintain(client);
  assert.equal(await place(), PAGES);
  const pages = await one("select (pg_relation_size('sealcast.txn_keys') / 8192)::int");
  await query("update sealcast_internal.trim_passes set began_at = began_at - interval '12 hours'");
  await maintain(client);
  assert(await place() >= pages / 2 && await place() < pages / 2 + PAGES, `${await place()} of ${pages}`);
});

test('effects are trimmed in the same steps, and effects_from is beyond the trimmed ones', async () => {
  await query(`insert into sealcast.event_handlers (name, function, batch_size, max_attempts, timeout, group_name) values ('h', 'f', 1, 1, '1 s', 'g');
    insert into sealcast.event_effects select 'h', gen_random_uuid(), gen_random_uuid(), n, now() - interval '8 days' from generate_series(1, 120000) n;
    insert into sealcast.event_effects select 'h', gen_random_uuid(), gen_random_uuid(), 200000, now() from generate_series(1, 5)`);
  await passIsLate();
  const steps = trimmed(await maintain(client), 'sealcast.event_effects');
  assert.equal(steps.reduce((sum, count) => sum + count), 120_000);
  assert(steps.length > 1, steps.join());
  assert.deepEqual(await query('select effects_from::int, (select count(*)::int from sealcast.event_effects) as kept from sealcast.event_handlers'),
    [{ effects_from: 120_001, kept: 5 }]);
  await query('truncate sealcast.event_effects, sealcast.event_handlers');
});

test('keys of a dropped table are trimmed in steps, and without such keys row_keys is not read', async () => {
  await query(`create table kept (id int);
    insert into sealcast_internal.row_keys select 'kept'::regclass, sha256(n::text::bytea) from generate_series(1, 1000) n;
    insert into sealcast_internal.row_keys select 4294967295, sha256(n::text::bytea) from generate_series(1, 120000) n`);
  const steps = trimmed(await maintain(client), 'sealcast_internal.row_keys');
  for (let next = []; (next = trimmed(await maintain(client), 'sealcast_internal.row_keys')).length > 0;) steps.push(...next);
  assert.equal(steps.reduce((sum, count) => sum + count), 120_000);
  assert(steps.length > 1, steps.join());
  assert.equal(await one('select count(*)::int from sealcast_internal.row_keys'), 1000);
  await query('vacuum sealcast_internal.row_keys');
  assert(await pagesOf('select * from sealcast_internal.trim_row_keys()') < 100);
});

test('partitions survive a statement_timeout while there is a backlog of keys', async () => {
  await addKeys(300_000, '8 days');
  await passIsLate();
  await query(`create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return null; end $$;
    create trigger slow before delete on sealcast.txn_keys for each statement execute function public.slow();
    update sealcast.retention set days_ahead = 5`);
  const days = () => one("select count(*)::int from sealcast_internal.partitions('sealcast.messages')");
  const had = await days();
  try {
    await client.query("set statement_timeout = '500ms'");
    const rows = await call();
    assert.equal(rows.filter((row) => row.action === 'created').length, 4);
    assert.equal(rows.at(-1).action, 'unfinished');
    await assert.rejects(call(), { code: '57014' });
    assert.equal(await days(), had + 2);
    await query("drop table sealcast.messages_" + await one("select to_char(current_date + 5, 'YYYYMMDD')"));
    // The procedure commits the partitions too.
    await query("update sealcast_internal.maintenance set began_at = began_at - interval '2 hours'");
    await assert.rejects(client.query('call sealcast.run_maintenance()'), { code: '57014' });
    assert.equal(await days(), had + 2);
  } finally {
    await client.query("reset statement_timeout; drop function public.slow() cascade; update sealcast.retention set days_ahead = 3");
  }
});

test('run_maintenance() commits step by step', async () => {
  await addKeys(70_000, '8 days');
  await passIsLate();
  const [blocker, caller] = [await database.connect(), await database.connect()];
  await query("update sealcast.retention set days_ahead = 6");
  const had = await one("select count(*)::int from sealcast_internal.partitions('sealcast.messages')");
  await query(`create function public.stop() returns trigger language plpgsql set lock_timeout = 0 as $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
    create trigger stop before delete on sealcast.txn_keys for each statement execute function public.stop()`);
  try {
    await blocker.query('select pg_advisory_lock(7)');
    const notices = [];
    caller.on('notice', ({ message }) => notices.push(message));
    const running = caller.query('call sealcast.run_maintenance()');
    await until('other sessions see the partitions', async () =>
      await one("select count(*)::int from sealcast_internal.partitions('sealcast.messages')") > had);
    await blocker.query('select pg_advisory_unlock(7)');
    await running;
    assert(notices.some((notice) => notice.startsWith('created sealcast.messages_')), notices.join());
  } finally {
    await Promise.all([blocker.end(), caller.query('select').finally(() => caller.end())]);
    await client.query('drop function public.stop() cascade; update sealcast.retention set days_ahead = 3');
  }
  assert.equal(await keys(), 0);
  await assert.rejects(client.query('begin; call sealcast.run_maintenance()'), { code: '2D000' });
  await client.query('rollback');
});

test('a step whose table another session has locked is postponed, and the next steps are done', async () => {
  await addKeys(10, '8 days');
  await query("select sealcast_internal.make_partition('sealcast.stream_runs', 'logged_at', 'stream_id, \"offset\"', current_date - 60)");
  const blocker = await database.connect();
  await blocker.query('begin; lock table sealcast.txn_keys in access exclusive mode');
  const rows = await maintain(client);
  assert.deepEqual(rows.map((row) => row.action), ['postponed', 'dropped']);
  assert.equal(rows[0].object, 'trimming sealcast.txn_keys');
  await blocker.query('rollback');
  await blocker.end();
  assert.deepEqual(await maintain(client), [{ action: 'trimmed', object: '10 rows of sealcast.txn_keys' }], 'the next maintenance does it');
});

test('a locked partition of messages does not keep the first maintenance from making partitions of offsets', async () => {
  const blocker = await database.connect();
  await query('update sealcast_internal.maintenance set recovered = false, next_step = 0; update sealcast.retention set days_ahead = 7');
  await blocker.query("begin; lock table sealcast.messages_" + await one("select to_char(current_date, 'YYYYMMDD')"));
  const rows = await call();
  await blocker.query('rollback');
  await blocker.end();
  assert(rows.some((row) => row.action === 'created' && row.object.startsWith('sealcast.stream_runs_')), JSON.stringify(rows));
  await maintain(client);
  assert.equal(await one('select recovered from sealcast_internal.maintenance'), true);
  await query('update sealcast.retention set days_ahead = 3');
});

test('of two callers at a time, one works and the other returns at once', async () => {
  await addKeys(10, '8 days');
  const other = await database.connect();
  await client.query('begin');
  assert.deepEqual(trimmed(await call(), 'sealcast.txn_keys'), [10]);
  assert.deepEqual(await call(other), []);
  await client.query('commit');
  await addKeys(100_000, '8 days');
  await passIsLate();
  const counts = (await Promise.all([client, other].map(maintain))).map((rows) => trimmed(rows, 'sealcast.txn_keys').reduce((sum, n) => sum + n, 0));
  assert.equal(counts[0] + counts[1] + await keys(), 100_000, 'no key is counted twice');
  await maintain(client);
  assert.equal(await keys(), 0);
  await other.end();
});
