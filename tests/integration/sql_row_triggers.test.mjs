// Tables of users with idempotent_insert() and seal_row() keep every row, sealed once, in dumps, replication and bulk loads.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Database } from './sql_database.mjs';

const execute = promisify(execFile);
const run = (command, args, env = {}) => execute(command, args, { env: { ...process.env, ...env } });

const original = await Database.create();
const directory = mkdtempSync(join(tmpdir(), 'sealcast-rows-'));
const file = (name) => join(directory, name);
const everyRow = "select 'notes' as place, n::text as row from notes n union all select 'parts', p::text from parts p order by 1, 2";
let rows;

before(async () => {
  const writer = await original.connect();
  await writer.query(`
    create table notes (author text, txn timestamptz, body json);
    create trigger a_once before insert on notes for each row execute function sealcast.idempotent_insert('author', 'txn');
    create trigger b_seal before insert on notes for each row execute function sealcast.seal_row('body', 'note', 'author', 'author', 'txn');
    insert into notes select 'u', timestamptz '2026-01-01 00:00+00' + i * interval '1 day', '{}' from generate_series(0, 9) i;
    delete from notes where txn = '2026-01-01 00:00+00';
    create table parts (status text, author text, txn text) partition by list (status);
    create table parts_new partition of parts for values in ('new');
    create table parts_done partition of parts for values in ('done');
    create trigger once before insert on parts for each row execute function sealcast.idempotent_insert('author', 'txn');
    insert into parts select 'new', 'u', i from generate_series(1, 9) i;
    update parts set status = 'done' where txn < '5';
    delete from parts where txn = '9'`);
  ({ rows } = await writer.query(everyRow));
  assert.equal(rows.length, 17);
  const dump = (...args) => run('pg_dump', [...args, original.name]);
  await dump('-Fc', '-f', file('whole'));
  await dump('-Fp', '-f', file('plain'));
  await dump('-Fd', '-f', file('directory'));
});
after(async () => {
  rmSync(directory, { recursive: true });
  await original.drop();
});

const restore = (...args) => (copy) => run('pg_restore', ['--exit-on-error', `--dbname=${copy}`, ...args]);
const load = (name) => (copy) => run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', copy, '-f', file(name)]);
const asReplica = (...args) => (copy) =>
  run('pg_restore', ['--exit-on-error', `--dbname=${copy}`, ...args], { PGOPTIONS: '-c session_replication_role=replica' });
const createExtension = (copy) => run('psql', ['-X', '-q', '-d', copy, '-c', 'create extension sealcast']);
const tables = ['-t', 'notes', '-t', 'parts_new', '-t', 'parts_done'];
const keys = ['-t', 'row_keys'];
const whole = file('whole');
const ways = {
  plain: [load('plain')],
  custom: [restore(whole)],
  'custom -j4': [restore('-j4', whole)],
  directory: [restore(file('directory'))],
  'directory -j4': [restore('-j4', file('directory'))],
  sections: ['pre-data', 'data', 'post-data'].map((section) => restore(`--section=${section}`, whole)),
  'the data while the triggers fire': [restore('-s', whole), restore('-a', ...tables, ...keys, whole)],
  'the keys first': [restore('-s', whole), restore('-a', ...keys, whole), restore('-a', ...tables, whole)],
  'the keys last': [restore('-s', whole), restore('-a', ...tables, whole), restore('-a', ...keys, whole)],
  'data without triggers': [restore('-s', whole), restore('-a', '--disable-triggers', ...tables, ...keys, whole)],
  'as replica': [createExtension, asReplica('-n', 'public', whole), asReplica('-a', ...keys, whole)],
  'the data as replica': [restore('-s', whole), asReplica('-a', ...tables, ...keys, whole)],
};

for (const [way, steps] of Object.entries(ways)) {
  test(`all rows and keys come back: ${way}`, async () => {
    const copy = await Database.create({ extension: false });
    try {
      for (const step of steps) await step(copy.name);
      const client = await copy.connect();
      assert.deepEqual((await client.query(everyRow)).rows, rows);
      await client.query(`
        insert into notes select 'u', timestamptz '2026-01-01 00:00+00' + i * interval '1 day', '{}' from generate_series(0, 9) i;
        insert into parts select 'new', 'u', i from generate_series(1, 9) i`);
      assert.deepEqual((await client.query(everyRow)).rows, rows, 'all keys are used, also those of deleted rows');
      await client.query("insert into notes values ('u', '2027-01-01', '{}'); update parts set status = 'new'");
      assert.equal((await client.query(everyRow)).rows.length, 18);
    } finally {
      await copy.drop();
    }
  });
}

test('a table of an ordinary role: it needs no right on the schema of the extension to change its tables', async () => {
  const client = await original.connect();
  await client.query(`begin; create role sealcast_test_maker; grant sealcast_user to sealcast_test_maker;
    create schema maker authorization sealcast_test_maker; set local role sealcast_test_maker;
    create table maker.t (author text, txn text);
    create trigger once before insert on maker.t for each row execute function sealcast.idempotent_insert('author', 'txn');
    insert into maker.t values ('u', '1'), ('u', '1');
    alter table maker.t add column more int;
    create table maker.other (id int)`);
  assert.equal((await client.query('select count(*)::int as n from maker.t')).rows[0].n, 1);
  await client.query('rollback');
});

test('without the internal triggers an insert is refused, and maintain() makes them', async () => {
  const client = await original.connect();
  await client.query(`alter event trigger sealcast_row_triggers disable;
    create table late (author text, txn text); insert into late values ('u', '1');
    create trigger once before insert on late for each row execute function sealcast.idempotent_insert('author', 'txn');
    alter event trigger sealcast_row_triggers enable always`);
  await assert.rejects(client.query("insert into late values ('u', '2')"), { code: '55000' });
  const { rows: repaired } = await client.query('select * from sealcast.repair_row_triggers()');
  assert.deepEqual(repaired, [{ action: 'created', object: 'internal triggers of public.late' }]);
  await client.query("insert into late values ('u', '1'), ('u', '2')");
  assert.equal((await client.query('select count(*)::int as n from late')).rows[0].n, 2);
  await client.query('drop table late');
});

test('one COPY of many rows with repeats', async () => {
  const client = await original.connect();
  await client.query(`create table many (author text, txn text);
    create trigger once before insert on many for each row execute function sealcast.idempotent_insert('author', 'txn')`);
  await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', original.name, '-c',
    String.raw`\copy many from program 'seq 1 100000 | sed "s/^/u\t/"; seq 1 100 | sed "s/^/u\t/"'`]);
  assert.equal((await client.query('select count(*)::int as n from many')).rows[0].n, 100000);
  await client.query('drop table many');
});

test('two sessions that insert the same key: the second waits, and gets the key if the first is rolled back', async () => {
  const [first, second] = [await original.connect(), await original.connect()];
  await first.query("begin; insert into parts values ('new', 'w', '1')");
  const waiting = second.query("insert into parts values ('new', 'w', '1')");
  const { rows: [{ pid }] } = await first.query('select pg_backend_pid() as pid');
  const watcher = await original.connect();
  while ((await watcher.query('select from pg_stat_activity where $1 = any (pg_blocking_pids(pid))', [pid])).rowCount === 0);
  await first.query('rollback');
  assert.equal((await waiting).rowCount, 1);
  await second.query("delete from parts where author = 'w'");
});
