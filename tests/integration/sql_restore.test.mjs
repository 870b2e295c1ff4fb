// A dump that is restored into another database keeps the users' data, and messages without an offset are relayed there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Database, Holder, admit, maintain, makeStreams } from './sql_database.mjs';

const run = promisify(execFile);

let original;
let copy;
let client;
let stream;
const sender = randomUUID();
const sent = [];

const send = async (connection, n) => {
  const item = { stream, sender, txn: randomUUID(), d: { n } };
  const [verdict] = await admit(connection, [item]);
  assert.equal(verdict.status, 200);
  sent.push({ ...item, envelope: verdict.envelope });
};

before(async () => {
  original = await Database.create();
  const writer = await original.connect();
  [stream] = await makeStreams(writer, 1);
  await writer.query("update sealcast.streams set visibility = 'private'");
  await writer.query("select sealcast.set_role($1, $2, 'vip'), sealcast.mute(null, $3, null, 'spam')", [stream, sender, randomUUID()]);
  await writer.query("update sealcast.message_types set rate = 9 where t = 'chat'");
  await writer.query("insert into sealcast.message_types (t, required_roles) values ('gift', '{vip}')");
  await writer.query("update sealcast.retention set keep = '90 days'");
  await writer.query("insert into sealcast.cells values ('a', 'https://a.example'), ('b', 'https://b.example')");
  await writer.query("insert into sealcast.cell_pins values (gen_random_uuid(), 'b')");
  await writer.query(`create table notes (author text, txn text, body json);
    create trigger once before insert on notes for each row execute function sealcast.idempotent_insert('author', 'txn');
    insert into notes values ('a', '1', '{}');
    create function handle(e sealcast.event) returns void language sql security definer as 'select';
    select sealcast.register_handler('handle', 'chat', 'handle(sealcast.event)');
    insert into sealcast.event_effects (handler, sender_id, txn_id, ts) values ('handle', gen_random_uuid(), gen_random_uuid(), 1);
    insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset") values ('handle', gen_random_uuid(), gen_random_uuid(), 2, 'x', gen_random_uuid(), 1);
    insert into sealcast.event_dead_letters (group_name, partition, entry, reason, attempts) values ('default', 3, '1-0', 'malformed', 0)`);
  for (let n = 1; n <= 3; ++n) await send(writer, n);
  const relay = new Holder(writer, 'relay');
  await relay.claim(60_000);
  assert.equal((await relay.drain(2)).length, 2);
  await send(writer, 4);

  const directory = mkdtempSync(join(tmpdir(), 'sealcast-dump-'));
  try {
    const file = join(directory, 'dump');
    await run('pg_dump', ['--format=custom', `--file=${file}`, original.name]);
    copy = await Database.create({ extension: false });
    const { stderr } = await run('pg_restore', ['--exit-on-error', `--dbname=${copy.name}`, file]);
    assert.equal(stderr, '');
  } finally {
    rmSync(directory, { recursive: true });
  }
  client = await copy.connect();
});
after(() => Promise.all([original?.drop(), copy?.drop()]));

test('the restored database has all rows and the sequence', async () => {
  const source = await original.connect();
  const tables = ['retention', 'streams', 'stream_roles', 'restrictions', 'moderation_log', 'message_types', 'cells', 'cell_pins', 'messages', 'stream_runs',
    'txn_keys', 'event_handlers', 'event_effects', 'event_attempts', 'event_dead_letters'];
  for (const table of tables) {
    const sql = `select to_jsonb(x)::text as row from sealcast.${table} x order by 1`;
    const { rows } = await source.query(sql);
    assert(rows.length > 0, table);
    assert.deepEqual((await client.query(sql)).rows, rows, table);
  }
  const sequence = 'select last_value from sealcast_internal.message_ids';
  assert.deepEqual((await client.query(sequence)).rows, (await source.query(sequence)).rows);
  assert.equal((await client.query("insert into notes values ('a', '1', '{}'), ('a', '2', '{}')")).rowCount, 1, 'the keys of idempotent_insert() are restored');
});

test('the partitions are attached and have their keys, and users can read them only through the parent', async () => {
  const sql = `
    select c.relname, c.relrowsecurity, pg_get_expr(c.relpartbound, c.oid) as bound, c.relacl::text,
           array(select pg_get_constraintdef(k.oid) from pg_constraint k where k.conrelid = c.oid order by 1) as constraints
    from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
    where p.relname in ('messages', 'stream_runs') order by 1`;
  const source = await original.connect();
  const { rows } = await client.query(sql);
  assert.equal(rows.length, 10);
  assert(rows.every((row) => row.relrowsecurity && row.constraints.length === 1));
  assert.deepEqual(rows, (await source.query(sql)).rows);

  const reads = async (sub, relation) => {
    await client.query('begin; set local role sealcast_user');
    try {
      await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify({ sub })]);
      return Number((await client.query(`select count(*) from sealcast.${relation}`)).rows[0].count);
    } finally {
      await client.query('rollback');
    }
  };
  assert.equal(await reads(sender, 'messages'), 4, 'a member reads the private stream');
  assert.equal(await reads(randomUUID(), 'messages'), 0, 'others do not');
  await assert.rejects(reads(sender, rows[1].relname), { code: '42501' });
});

test('a repeat returns the original, maintain() queues messages without an offset, and offsets continue', async () => {
  // Sent before the first maintain() in this database.
  await send(client, 5);
  assert.deepEqual(await maintain(client),
    [{ action: 'queued', object: '2 messages without an offset' }]);
  assert.deepEqual(await maintain(client), []);
  const relay = new Holder(client, 'relay');
  assert.equal(await relay.claim(60_000), 4);
  const relayed = [];
  for (let rows = await relay.drain(10); rows !== null; rows = await relay.drain(10)) relayed.push(...rows);
  assert.deepEqual(relayed.map((row) => Number(row.offset)), [3, 4, 5]);
  const { rows } = await client.query('select "offset", envelope::text from sealcast.history($1)', [stream]);
  assert.deepEqual(rows.map((row) => Number(row.offset)), [1, 2, 3, 4, 5]);
  assert.deepEqual(rows.map((row) => row.envelope), sent.map((item) => item.envelope), 'in the order of sending');
  const verdicts = await admit(client, sent);
  assert.deepEqual(verdicts.map((v) => [v.status, v.replayed, v.envelope]), sent.map((item) => [200, true, item.envelope]));
});

test('DROP EXTENSION leaves no objects, and CREATE EXTENSION works again', async () => {
  await client.query('drop table notes; drop function handle; drop extension sealcast');
  const { rows } = await client.query(`
    select 'schema' as what from pg_namespace where nspname in ('sealcast', 'sealcast_internal')
    union all select 'function ' || oid::regprocedure from pg_proc where prosrc like '%sealcast%' or probin like '%sealcast%'
    union all select 'relation ' || relname from pg_class where relname ~ '^(messages|stream_log|stream_runs|outbox)'
    union all select 'dependency' from pg_shdepend d join pg_roles r on r.oid = d.refobjid
      where r.rolname like 'sealcast%' and d.dbid = (select oid from pg_database where datname = current_database())`);
  assert.deepEqual(rows, []);
  await client.query('create extension sealcast');
  assert((await maintain(client)).every((row) => row.action === 'created'));
  [stream] = await makeStreams(client, 1);
  await send(client, 1);
});
