// Every way of pg_dump and pg_restore brings every row of both extensions back: a populated database is restored in each
// way, compared table by table, and continues where it stopped.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { apply, audit, deposit, installEconomy } from './economy.mjs';
import { Database, Holder, admit, maintain, makeStreams } from './sql_database.mjs';

const run = promisify(execFile);
// Without waiting for the disk at each of the many commits.
const quickly = { PGOPTIONS: '-c synchronous_commit=off' };
const asReplica = { PGOPTIONS: `${quickly.PGOPTIONS} -c session_replication_role=replica` };

const dumps = {
  plain: ['--format=plain'],
  inserts: ['--format=plain', '--inserts'],
  custom: ['--format=custom', '--compress=0'],
  directory: ['--format=directory', '--jobs=2', '--compress=0'],
};

// Each way is a list of steps: options of pg_restore, a function of the database, or null for psql.
const early = (client) => client.query('set client_min_messages = error; select sealcast.maintain()');
const ways = [
  ['a script', 'plain', [null]],
  ['a script of INSERT statements', 'inserts', [null]],
  ['a script, as a replica', 'plain', [null], asReplica],
  ['serial', 'custom', [[]]],
  ['one transaction', 'custom', [['--single-transaction']]],
  ['four jobs', 'custom', [['--jobs=4']]],
  ['four jobs, as a replica', 'custom', [['--jobs=4']], asReplica],
  ['four jobs from a directory', 'directory', [['--jobs=4']]],
  ['sections', 'custom', [['--section=pre-data'], ['--section=data'], ['--section=post-data']]],
  ['sections with four jobs', 'directory', ['pre-data', 'data', 'post-data'].map((section) => [`--section=${section}`, '--jobs=4'])],
  ['schema, then data without triggers', 'custom', [['--schema-only'], ['--data-only', '--disable-triggers']]],
  ['schema, then data as a replica', 'custom', [['--schema-only'], ['--data-only', '--jobs=4']], asReplica],
  ['schema, then data', 'custom', [['--schema-only'], ['--data-only']]],
  ['schema, then data with four jobs', 'custom', [['--schema-only'], ['--data-only', '--jobs=4']]],
  ['schema, maintain(), then data', 'custom', [['--schema-only'], early, ['--data-only', '--jobs=4']]],
  ['into a database that has the extension', 'custom', [(client) => client.query('create extension sealcast'), []]],
  ['a second time, over the first', 'custom', [[], ['--clean', '--if-exists']]],
];

const directory = mkdtempSync(join(tmpdir(), 'sealcast-dump-'));
let original;
let source;
let expected;
let streams;
let relayed = 0;
const sent = [];

async function send(count, t, d) {
  const items = Array.from({ length: count }, (_, n) => ({ stream: streams[n % 3], sender: streams[n % 5], txn: randomUUID(), t, d }));
  const verdicts = await admit(source, items);
  assert(verdicts.every((verdict) => verdict.status === 200), JSON.stringify(verdicts[0]));
  sent.push(...items.map((item, i) => ({ ...item, envelope: verdicts[i].envelope })));
  return items;
}

// The dumped tables with all their partitions, and the tables of users.
async function tables(client) {
  const { rows } = await client.query(`
    select c.oid::regclass::text as name from pg_extension e cross join unnest(e.extconfig) config join pg_class c on c.oid = config
    where e.extname like 'sealcast%' and c.relkind = 'r'
    union select i.inhrelid::regclass::text from pg_inherits i where i.inhparent in ('sealcast.messages'::regclass, 'sealcast.stream_runs'::regclass)
    union select c.oid::regclass::text from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by 1`);
  return rows.map((row) => row.name);
}

// The rows of each table as text; the sequences are one table more.
async function contents(client, names) {
  const all = {};
  for (const name of names) {
    all[name] = (await client.query(`select x::text as row from ${name} x order by 1`)).rows.map(({ row }) => row);
  }
  all.sequences = (await client.query(`
    select format('%s.%s %s', schemaname, sequencename, last_value) as row from pg_sequences
    where format('%I.%I', schemaname, sequencename)::regclass in (select unnest(extconfig) from pg_extension where extname like 'sealcast%')
    order by 1`)).rows.map(({ row }) => row);
  return all;
}

before(async () => {
  original = await Database.create();
  source = await original.connect();
  streams = await makeStreams(source, 300);
  await source.query(`
    update sealcast.streams set title = 'a', visibility = 'private', metadata = '{"slug": "a", "labels": [1.0, null]}' where stream_id = '${streams[0]}';
    update sealcast.streams set delivery_mode = 'hot', closed_at = now(), trimmed_through = 9 where stream_id = '${streams[9]}';
    insert into sealcast.stream_roles (stream_id, user_id, role)
      select s.stream_id, r, 'owner' from sealcast.streams s, unnest('{${streams.slice(0, 10)}}'::uuid[]) r;
    insert into sealcast.restrictions (user_id, stream_id, kind, until)
      select gen_random_uuid(), stream_id, 'mute', now() + interval '1 day' from sealcast.streams union all select gen_random_uuid(), null, 'ban', null;
    insert into sealcast.report_cases (stream_id, "offset", sender_id, envelope, outcome) select stream_id, 1, gen_random_uuid(), '{"d":"\\u2028"}', 'acted' from sealcast.streams;
    insert into sealcast.reports (stream_id, "offset", reporter_id, reason) select stream_id, 1, gen_random_uuid(), e'a\\tb' from sealcast.streams;
    insert into sealcast.blocked_terms (stream_id, term, action)
      select stream_id, 'darn', 'mask' from sealcast.streams union all select null, 'heck', 'flag';
    insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at) select gen_random_uuid(), stream_id, gen_random_uuid(), gen_random_uuid(), 'chat', '{"d":"\\u2028"}', '\\x00', 'rule', now(), now() + interval '1 day' from sealcast.streams;
    insert into sealcast.term_hits (at, stream_id, sender_id, txn_id, t, term_id, action) values (now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'chat', gen_random_uuid(), 'flag');
    delete from sealcast.message_types where t = 'reaction';
    update sealcast.message_types set rate = 9 where t = 'chat';
    insert into sealcast.message_types (t, required_roles) values ('poll', '{vip}');
    update sealcast.retention set keep = '90 days';
    insert into sealcast.cells values ('a', 'https://a.example'), ('b', 'https://b.example');
    insert into sealcast.cell_pins select gen_random_uuid(), 'b' from generate_series(1, 500);
    insert into sealcast.switching (stream_id, step, since) values ('${streams[1]}', 'hot', now());
    insert into sealcast.stream_rules values ('${streams[1]}', 30, false, '{vip}', '{chat}', true, 200, '{}', true, 60, 5, 30, '{"chat": 2}');
    insert into sealcast.pins values ('${streams[1]}', 1, gen_random_uuid(), gen_random_uuid(), null, 'note');
    insert into sealcast.sampling (stream_id, rate, forced, announced_at) values ('${streams[2]}', 40, true, now());
    insert into sealcast.delivery_lags (transport, stream_id, next_offset, reason) values ('mqtt', '${streams[1]}', 2, 'slow');
    insert into sealcast.dead_letters (transport, stream_id, "offset", reason, attempts) values ('mqtt', '${streams[1]}', 1, 'slow', 3);
    insert into sealcast.retained_messages values ('${streams[1]}', 'stream_rules', '', 1, 0, 1, 1);
    insert into sealcast.webhook_events (event_id, type, stream_id, occurred_at, data) values (gen_random_uuid(), 'user.banned', '${streams[1]}', now(), '{"a":"b"}');
    insert into sealcast_internal.webhook_subscription (events, seen_at) values ('{user.banned}', now());
    insert into sealcast.redactions (ts, message_id, stream_id, payload_hash, redacted_at, event_id) values (1, 1, '${streams[1]}', sha256('x'), 2, 2);
    create table notes (author text, txn text, body json);
    create trigger once before insert on notes for each row execute function sealcast.idempotent_insert('author', 'txn');
    insert into notes select 'a', n::text, '{}' from generate_series(1, 200) n;
    create table sealed (author text, txn text, body json);
    create trigger seal before insert on sealed for each row execute function sealcast.seal_row('body', 'note', 'author', 'author', 'txn');
    insert into sealed select 'a', n::text, '{}' from generate_series(1, 20) n;
    create table stream_slugs (stream_id uuid primary key, slug text);
    insert into stream_slugs select stream_id, 'room-' || stream_id from sealcast.streams;
    create function handle(e sealcast.event) returns void language sql security definer as 'select';
    select sealcast.register_handler('handle', 'chat', 'handle(sealcast.event)');
    insert into sealcast.event_effects (handler, sender_id, txn_id, ts) values ('handle', gen_random_uuid(), gen_random_uuid(), 1);
    insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset") values ('handle', gen_random_uuid(), gen_random_uuid(), 2, 'x', gen_random_uuid(), 1);
    insert into sealcast.event_dead_letters (group_name, partition, entry, reason, attempts) values ('default', 3, '1-0', 'malformed', 0)`);
  await installEconomy(source);
  for (const stream of streams.slice(0, 5)) await deposit(source, stream, 10_000);
  const chats = await send(200, 'chat', { content: 'a\\b\t{"c":"\u2028 é"}' });
  const gifts = await send(60, 'gift', { amount: 100, to: randomUUID() });
  const txns = (items) => items.map((item) => item.txn);
  await apply(source, 'gift_on_event', txns(gifts.slice(10)));
  for (const handler of ['xp_on_events', 'aggregates_on_events']) await apply(source, handler, txns([...chats, ...gifts]));
  const relay = new Holder(source, 'relay');
  await relay.claim(60_000);
  relayed = (await relay.drain(150)).length;
  await send(5, 'chat', { n: 2 });
  expected = await contents(source, await tables(source));
  const empty = Object.keys(expected).filter((name) => expected[name].length === 0 && !/_\d{8}$/.test(name));
  assert.deepEqual(empty, [], 'every dumped table has rows');
  await Promise.all(Object.entries(dumps).map(([name, options]) => run('pg_dump', [...options, `--file=${join(directory, name)}`, original.name])));
});
after(async () => {
  rmSync(directory, { recursive: true });
  await original?.drop();
});

for (const [name, dump, steps, environment = quickly] of ways) {
  test(`restored by ${name}`, async () => {
    const copy = await Database.create({ extension: false });
    try {
      const client = await copy.connect();
      for (const step of steps) {
        if (typeof step === 'function') {
          await step(client);
          continue;
        }
        const [program, options] = step === null ? ['psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f']] : ['pg_restore', ['--exit-on-error', ...step]];
        const { stderr } = await run(program, [`--dbname=${copy.name}`, ...options, join(directory, dump)], { env: { ...process.env, ...environment } });
        assert.equal(stderr, '');
      }
      const names = await tables(client);
      const restored = await contents(client, names);
      for (const table of Object.keys(expected)) {
        const kept = dump.endsWith('of users') && ['notes', 'sealed', 'stream_slugs'].includes(table) ? [] : expected[table];
        assert.deepEqual(restored[table], kept, `rows of ${table}`);
      }
      assert.deepEqual(Object.keys(restored), Object.keys(expected));
      assert.deepEqual(await audit(client), await audit(source));

      // The first maintain() changes nothing that was dumped, and the relay continues.
      const rows = await maintain(client);
      assert.deepEqual(rows.filter((row) => row.action !== 'postponed'), [{ action: 'queued', object: `${sent.length - relayed} messages without an offset` }]);
      for (const table of ['sealcast.message_types', 'sealcast.added_types', 'sealcast.retention']) {
        assert.deepEqual((await contents(client, [table]))[table], expected[table], `rows of ${table} after maintain()`);
      }
      const relay = new Holder(client, 'relay');
      await relay.claim(60_000);
      for (let drained = []; drained !== null; drained = await relay.drain(1000)) assert(Array.isArray(drained));
      for (const stream of streams.slice(0, 3)) {
        const history = (await client.query('select "offset"::integer, envelope::text from sealcast.history($1, null, null, 500)', [stream])).rows;
        const envelopes = sent.filter((item) => item.stream === stream).map((item) => item.envelope);
        assert.deepEqual(history.map((row) => row.envelope).sort(), envelopes.sort());
        assert.deepEqual(history.map((row) => row.offset), envelopes.map((_, i) => i + 1));
      }
    } finally {
      await copy.drop();
    }
  });
}
