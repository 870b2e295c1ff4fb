// The background worker that does maintenance in a preloaded server without a sidecar.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack;
const clients = new Map(); // by database

const query = async (database, sql, parameters) => (await clients.get(database).query(sql, parameters)).rows;
const value = async (database, sql, parameters) => Object.values((await query(database, sql, parameters))[0])[0];
const finishedAt = (database) => value(database, 'select finished_at::text from sealcast_internal.maintenance');
const log = () => readFileSync(join(stack.directory, 'log/postgres.log'), 'utf8');

async function create(database, ...statements) {
  await stack.query(`create database ${database}`);
  clients.set(database, await stack.connect({ database }));
  await query(database, 'create extension sealcast');
  await query(database, 'call sealcast.run_maintenance()');
  for (const statement of statements) await query(database, statement);
}
async function drop(database) {
  await clients.get(database).end();
  clients.delete(database);
  await stack.query(`drop database ${database}`);
}
// As if the last maintenance had ended two hours ago.
const makeDue = (database) =>
  query(database, "update sealcast_internal.maintenance set began_at = now() - interval '2 hours', finished_at = now() - interval '2 hours'");
const newestDay = (database) => value(database, "select max(day)::text from sealcast_internal.partitions('sealcast.messages')");
const dropNewestDay = async (database) =>
  query(database, await value(database, "select 'drop table ' || partition from sealcast_internal.partitions('sealcast.messages') order by day desc limit 1"));
const addOldKeys = (database, count) => query(database,
  `insert into sealcast.txn_keys select gen_random_uuid(), gen_random_uuid(), 0, n, sha256(n::text::bytea) from generate_series(1, ${count}) n`);
const maintained = (database, before) => until(`the worker has maintained ${database}`, async () => {
  const now = await finishedAt(database);
  return now !== null && now !== before && new Date(now) > Date.now() - 60_000;
});
// A reload begins a round through all databases.
const reload = () => stack.query('select pg_reload_conf()');
// Resolves after at least one whole round.
async function round() {
  for (let i = 0; i < 2; ++i) {
    await makeDue('witness');
    await reload();
    await maintained('witness');
  }
}

before(async () => {
  stack = await PrivateStack.create({ services: ['postgres'] });
  await create('witness');
  await create('app');
});
after(async () => {
  await Promise.all([...clients.values()].map((client) => client.end()));
  await stack?.close();
});

test('when the last maintenance is too old, the worker does it to its end', async () => {
  const day = await newestDay('app');
  await dropNewestDay('app');
  await addOldKeys('app', 200_000);
  await query('app', "update sealcast_internal.trim_passes set began_at = began_at - interval '1 day'");
  await makeDue('app');
  await reload();
  await maintained('app');
  assert.equal(await newestDay('app'), day);
  assert.equal(await value('app', 'select count(*)::int from sealcast.txn_keys'), 0);
  assert.match(log(), /LOG: {2}sealcast maintenance of database "app": created sealcast\.messages_\d{8}/);
  assert.match(log(), /LOG: {2}sealcast maintenance of database "app": trimmed \d+ rows of sealcast\.txn_keys/);
});

test('the worker does nothing while maintenance is fresh, and none in a database without a first maintenance or that is read-only', async () => {
  await create('young');
  await query('young', 'update sealcast_internal.maintenance set began_at = null, finished_at = null');
  await create('readonly');
  await makeDue('readonly');
  await stack.query('alter database readonly set default_transaction_read_only = on');
  const before = [await finishedAt('app'), await finishedAt('readonly')];
  await dropNewestDay('app');
  const day = await newestDay('app');
  await round();
  assert.deepEqual([await finishedAt('app'), await finishedAt('readonly')], before);
  assert.equal(await newestDay('app'), day);
  assert.equal(await finishedAt('young'), null);
  assert(!/maintenance of database "(readonly|young)"/.test(log()), 'nothing was tried');
  await stack.query('alter database readonly set default_transaction_read_only = off');
  await reload();
  await maintained('readonly', before[1]);
  await Promise.all(['young', 'readonly'].map(drop));
});

test('an error is logged with what to do, the other databases are maintained, and a later round succeeds', async () => {
  await create('failing', `create function public.fail() returns trigger language plpgsql as $$ begin raise 'the test fails'; end $$`,
    'create trigger fail before delete on sealcast.txn_keys for each statement execute function public.fail()');
  const before = await finishedAt('failing');
  await makeDue('failing');
  await round();
  assert.match(log(), /ERROR: {2}the test fails\n(.*\n)*?.*background maintenance of database "failing", which is tried again; to run it yourself: call sealcast\.run_maintenance\(\)/);
  await query('failing', 'drop function public.fail() cascade');
  await reload();
  await maintained('failing', before);
  await drop('failing');
});

test('a long maintenance goes on in several visits, between which the database can be dropped', async () => {
  const slow = [`create table public.visits (pid int)`,
    `create function public.slow() returns trigger language plpgsql as $$ begin insert into public.visits values (pg_backend_pid()); perform pg_sleep(1); return null; end $$`,
    'create trigger slow before delete on sealcast.txn_keys for each statement execute function public.slow()'];
  await create('slow', ...slow);
  await addOldKeys('slow', 400_000);
  await query('slow', "update sealcast_internal.trim_passes set began_at = began_at - interval '1 day'");
  await makeDue('slow');
  await reload();
  await maintained('slow');
  assert.equal(await value('slow', 'select count(*)::int from sealcast.txn_keys'), 0);
  assert(await value('slow', 'select count(distinct pid)::int from public.visits') > 1);

  await query('slow', 'truncate public.visits');
  await addOldKeys('slow', 400_000);
  await query('slow', "update sealcast_internal.trim_passes set began_at = began_at - interval '1 day'");
  await makeDue('slow');
  await reload();
  await until('the worker is in the database', () => stack.query("select from pg_stat_activity where backend_type = 'sealcast maintenance' and datname = 'slow'").then((rows) => rows.length));
  await drop('slow');
  await round();
});

test('the worker runs after a restart without any traffic, and not when the interval is 0', async () => {
  await makeDue('app');
  await stack.query("alter system set sealcast.maintenance_interval = 0");
  const before = await finishedAt('app');
  await restart();
  await until('the launcher runs', () => stack.query("select from pg_stat_activity where backend_type = 'sealcast maintenance launcher'").then((rows) => rows.length));
  assert.equal(await finishedAt('app'), before);
  await stack.query('alter system reset sealcast.maintenance_interval');
  await restart();
  await maintained('app', before);
});

test('DROP EXTENSION while the worker runs', async () => {
  await create('leaving');
  for (let i = 0; i < 5; ++i) {
    await makeDue('leaving');
    await reload();
    await query('leaving', 'drop extension sealcast');
    await query('leaving', 'create extension sealcast');
    await query('leaving', 'call sealcast.run_maintenance()');
  }
  await query('leaving', 'drop extension sealcast');
  await round();
  await drop('leaving');
});

async function restart() {
  const names = [...clients.keys()];
  await Promise.all([...clients.values()].map((client) => client.end()));
  await stack.stop('postgres', 'INT');
  await stack.startPostgres();
  for (const database of names) clients.set(database, await stack.connect({ database }));
}
