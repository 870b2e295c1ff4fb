// Publications of other programs do not disturb the system, logical decoding sees whole messages, and a database moves to
// another server by logical replication without a loss (docs/operations.md).
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { apply, audit, deposit, installEconomy } from './economy.mjs';
import { Holder, Worker, admit, maintain, makeStreams } from './sql_database.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const run = promisify(execFile);

let stack;
let client;
let stream;
let relay;
const sender = randomUUID();
const creator = randomUUID();
const sent = [];

// The SQL of docs/operations.md: the tables that a dump would hold, and their sequences.
const published = `
  select string_agg(c.oid::regclass::text, ', ') as tables
  from pg_extension e cross join unnest(e.extconfig || '{sealcast.messages,sealcast.stream_runs}'::regclass[]::oid[]) config
  join pg_class c on c.oid = config
  where (e.extname = 'sealcast' and c.relkind in ('r', 'p') or e.extname = 'sealcast_economy' and c.relkind = 'r')
    and c.oid <> 'sealcast_internal.row_keys'::regclass`;
const keys = `select format('insert into sealcast_internal.row_keys values (%L, %L) on conflict do nothing', k.table_id, k.key) as statement
  from sealcast_internal.keys_without_row() k`;
const sequences = `
  select format('select setval(%L, %s)', s.name, s.last_value) as statement
  from (select format('%I.%I', schemaname, sequencename)::regclass as name, last_value from pg_sequences where schemaname like 'sealcast%') s
  where s.last_value is not null and s.name in (select unnest(extconfig) from pg_extension where extname like 'sealcast%')`;

async function send(connection, t, d) {
  const item = { stream, sender, txn: randomUUID(), t, d };
  const [verdict] = await admit(connection, [item]);
  assert.equal(verdict.status, 200, verdict.message);
  sent.push({ ...item, envelope: verdict.envelope });
  return item;
}

before(async () => {
  stack = await PrivateStack.create({ services: ['postgres'] });
  await stack.query('alter system set wal_level = logical');
  await stack.stop('postgres', 'SIGINT');
  await stack.startPostgres();
  client = await stack.connect();
  await client.query('set sealcast.gate = off');
  await installEconomy(client);
  [stream] = await makeStreams(client, 1);
  await deposit(client, sender, 1000);
  relay = new Holder(client, 'relay');
});
after(async () => {
  await client?.end();
  await stack?.close();
});

test('with a publication for all tables, every table can be changed, and everything works', async () => {
  await client.query('create publication everything for all tables');
  const { rows } = await client.query(`
    select c.oid::regclass::text as name, quote_ident(a.attname) as column, a.attidentity = 'a' as generated
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum = 1 where c.relnamespace::regnamespace::text like 'sealcast%' and c.relkind in ('r', 'p') and c.relpersistence = 'p'`);
  assert(rows.length > 40);
  for (const { name, column, generated } of rows) {
    if (!/\.(transfers|entries)$/.test(name)) await client.query(`update ${name} set ${column} = ${generated ? 'default' : column} where false; delete from ${name} where false`);
  }
  await client.query("select sealcast.mute($1, $2), sealcast.ban($1, $2), sealcast.set_role($1, $2, 'vip')", [stream, randomUUID()]);
  await client.query('select sealcast.mute($1, $2, null, $3), sealcast.mute($1, $2), sealcast.unmute($1, $2)', [stream, sender, 'x']);
  await client.query(`create function handle(e sealcast.event) returns void language sql security definer as 'select';
    select sealcast.register_handler('handle', 'chat', 'handle(sealcast.event)'), sealcast.register_handler('handle', null, 'handle(sealcast.event)')`);
  const chats = [await send(client, 'chat', { n: 1 }), await send(client, 'chat', { n: 2 })];
  const gift = await send(client, 'gift', { amount: 10, to: creator });
  for (const handler of ['xp_on_events', 'aggregates_on_events']) await apply(client, handler, [...chats, gift].map((item) => item.txn));
  await apply(client, 'gift_on_event', [gift.txn]);
  assert.equal(await relay.claim(60_000), 4);
  assert.equal((await relay.drain(10)).length, 3);
  const worker = new Worker(client, 'worker', 'default');
  assert(await worker.claim(60_000));
  await client.query("select sealcast_internal.rewind_events(0), sealcast.drop_event_dead_letters(), sealcast.unregister_handler('handle')");
  await client.query("update sealcast.retention set keep = '40 days'; update sealcast_economy.xp_rules set points = points");
  await maintain(client);
  await client.query('drop publication everything');
});

test('logical decoding shows every column of every message', async () => {
  await client.query("select pg_create_logical_replication_slot('decoded', 'test_decoding')");
  const content = Array.from({ length: 400 }, () => randomUUID()).join('');
  const items = [{ n: 1 }, { content }, {}].map((d) => ({ stream, sender, txn: randomUUID(), d }));
  for (const verdict of await admit(client, items)) assert.equal(verdict.status, 200);
  sent.push(...items.map((item) => ({ ...item })));
  await send(client, 'gift', { amount: 20, to: creator });
  const { rows } = await client.query("select data from pg_logical_slot_get_changes('decoded', null, null) where data like 'table sealcast.messages\\_%'");
  await client.query("select pg_drop_replication_slot('decoded')");
  const decoded = rows.map(({ data }) => data.replace(/^table sealcast\.messages_\d{8}: INSERT: /, ''));
  const { rows: stored } = await client.query(`
    select format('ts[bigint]:%s message_id[bigint]:%s stream_id[uuid]:''%s'' sender_id[uuid]:''%s'' txn_id[uuid]:''%s'' t[text]:''%s'' kid[text]:''%s'' sig[bytea]:''%s'' d[text]:''%s''',
                  ts, message_id, stream_id, sender_id, txn_id, t, kid, sig, d) as data
    from sealcast.messages order by message_id desc limit 4`);
  assert.deepEqual(decoded.sort(), stored.map((row) => row.data).sort());
});

test('a connection learns of blocked terms that come by logical replication, before its next message', async () => {
  const { host, port, database } = stack.postgres;
  await client.query('create publication terms for table sealcast.blocked_terms');
  await client.query("select pg_create_logical_replication_slot('terms', 'pgoutput')");
  await client.query('create database terms');
  const reader = await stack.connect({ database: 'terms' });
  const other = await stack.connect({ database: 'terms' });
  await reader.query('create extension sealcast; set sealcast.gate = off');
  await maintain(reader);
  await reader.query('insert into sealcast.streams (stream_id) values ($1)', [stream]);
  await reader.query(`create subscription terms connection 'host=${host} port=${port} user=postgres dbname=${database}'
    publication terms with (create_slot = false, slot_name = 'terms')`);
  await until('the table is copied', async () => (await other.query("select from pg_subscription_rel where srsubstate = 'r'")).rows.length === 1);
  const code = async () => (await admit(reader, [{ stream, sender, txn: randomUUID(), t: 'chat', d: { content: 'drat' } }]))[0].code;
  const arrives = (condition) => until(`the terms are those that ${condition}`, async () =>
    (await other.query(`select count(*) filter (where term = 'drat' and ${condition}) as fit from sealcast.blocked_terms`)).rows[0].fit === '1');

  assert.equal(await code(), null);
  const { rows: [{ id }] } = await client.query("select sealcast.add_blocked_term($1, 'drat') as id", [stream]);
  await arrives("action = 'refuse'");
  assert.equal(await code(), 'content_refused', 'insert');
  await client.query("select sealcast.add_blocked_term($1, 'drat', action => 'flag')", [stream]);
  await arrives("action = 'flag'");
  assert.equal(await code(), null, 'update');
  await client.query("select sealcast.add_blocked_term($1, 'drat')", [stream]);
  await arrives("action = 'refuse'");
  assert.equal(await code(), 'content_refused', 'a second update');
  await client.query('select sealcast.remove_blocked_term($1)', [id]);
  await until('the term is gone', async () => (await other.query('select from sealcast.blocked_terms')).rows.length === 0);
  assert.equal(await code(), null, 'delete');
  await client.query("select sealcast.add_blocked_term($1, 'drat')", [stream]);
  await arrives("action = 'refuse'");
  assert.equal(await code(), 'content_refused', 'insert again');
  await client.query('truncate sealcast.blocked_terms');
  await until('the terms are gone', async () => (await other.query('select from sealcast.blocked_terms')).rows.length === 0);
  assert.equal(await code(), null, 'truncate');

  await reader.query('drop subscription terms');
  await client.query('drop publication terms');
  await Promise.all([reader.end(), other.end()]);
});

test('a database moves by logical replication while messages are sent, and continues there', async () => {
  const { host, port, database } = stack.postgres;
  const connection = `host=${host} port=${port} user=postgres`;
  await client.query(`create table notes (author text, txn text, body json, primary key (author, txn));
    create trigger once before insert on notes for each row execute function sealcast.idempotent_insert('author', 'txn');
    insert into notes values ('a', '1', '{}')`);
  await maintain(client);

  // The new server; here a database of the same one, so the slot is made apart.
  await client.query('create database moved');
  await run('bash', ['-euo', 'pipefail', '-c', 'pg_dump "$0" --schema-only | psql -X -q -v ON_ERROR_STOP=1 -o /dev/null "$1"',
    `${connection} dbname=${database}`, `${connection} dbname=moved`]);
  const { rows: [{ tables }] } = await client.query(published);
  await client.query(`create publication moving for table ${tables}, notes with (publish_via_partition_root)`);
  await client.query("select pg_create_logical_replication_slot('moving', 'pgoutput')");
  const moved = await stack.connect({ database: 'moved' });
  await moved.query('set sealcast.gate = off');
  await moved.query(`create subscription moving connection '${connection} dbname=${database}' publication moving with (create_slot = false, slot_name = 'moving')`);
  await until('every table is copied', async () =>
    (await moved.query("select from pg_subscription_rel where srsubstate <> 'r'")).rows.length === 0);

  // Changes meanwhile: messages, offsets, a role, a type, the ledger.
  await send(client, 'chat', { n: 3 });
  await relay.claim(60_000);
  while ((await relay.drain(100)) !== null);
  await send(client, 'gift', { amount: 30, to: creator });
  await client.query("select sealcast.set_role($1, $2, 'vip'), sealcast.mute($1, $3, null, 'x'), sealcast.unmute($1, $3)", [stream, sender, randomUUID()]);
  await client.query("delete from sealcast.message_types where t = 'reaction'; update sealcast.retention set keep = '50 days'; insert into notes values ('a', '2', '{}'), ('a', '4', '{}'); delete from notes where txn = '4'");

  // The switch: nobody sends; the rest of the changes arrives, then the sequences are carried over.
  const { rows: [{ end }] } = await client.query('select pg_current_wal_lsn() as end');
  await until('all changes arrived', async () =>
    (await client.query("select from pg_stat_replication where application_name = 'moving' and replay_lsn >= $1", [end])).rows.length === 1);
  for (const sql of [sequences, keys]) {
    for (const { statement } of (await client.query(sql)).rows) await moved.query(statement);
  }
  await moved.query('drop subscription moving');

  for (const name of [...tables.split(', '), 'notes']) {
    const sql = `select x::text as row from ${name} x order by 1`;
    assert.deepEqual((await moved.query(sql)).rows, (await client.query(sql)).rows, name);
  }
  const rows = await maintain(moved);
  assert.deepEqual(rows.filter((row) => row.action === 'queued'), [{ action: 'queued', object: '1 messages without an offset' }]);
  const relayThere = new Holder(moved, 'relay');
  assert.equal(await relayThere.claim(60_000), 4);
  await send(moved, 'chat', { n: 4 });
  for (let drained = []; drained !== null; drained = await relayThere.drain(100));
  const history = (await moved.query('select "offset"::integer, envelope::text from sealcast.history($1, 0, null, 500)', [stream])).rows;
  assert.deepEqual(history.map((row) => row.offset), sent.map((_, i) => i + 1), 'offsets go on');
  assert.deepEqual(history.map((row) => JSON.parse(row.envelope).txn_id).sort(), sent.map((item) => item.txn).sort());
  const verdicts = await admit(moved, sent);
  assert(verdicts.every((verdict) => verdict.status === 200 && verdict.replayed), 'every repeat is known');
  assert.equal((await moved.query("insert into notes values ('a', '2', '{}'), ('a', '3', '{}'), ('a', '4', '{}')")).rowCount, 1);
  const gifts = sent.filter((item) => item.t === 'gift').map((item) => item.txn);
  await apply(moved, 'gift_on_event', gifts);
  await deposit(moved, sender, 5);
  assert.deepEqual((await audit(moved)).filter((row) => ['balance', 'transfer', 'gift'].includes(row.what)), []);
  await moved.end();
});
