// history(): every page of every walk through many partitions, the locks that it takes, and the rights that a long read
// keeps asking for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Database, makeStreams } from './sql_database.mjs';
import { dice } from './dice.mjs';
import { until } from './waiting.mjs';

const DAY = 86_400_000;
const DAYS = 40;
const roll = dice(20261129);
let database;
let client;
let busy;
let quiet;
let log; // of the busy stream: {offset, public}

const query = async (sql, parameters) => (await client.query(sql, parameters)).rows;
const today = Math.floor(Date.now() / DAY) * DAY;

// Runs of 1 to 5 messages, a few of each day, each message with a row but every seventh. Each tenth run is in the
// default partition, in the time of a partition that was never made.
before(async () => {
  database = await Database.create();
  client = await database.connect();
  [busy, quiet] = await makeStreams(client, 2);
  const first = today - DAYS * DAY;
  for (let day = first; day < today - DAY; day += DAY) {
    const name = new Date(day).toISOString().slice(0, 10).replaceAll('-', '');
    for (const [table, key] of [['messages', 'ts, message_id'], ['stream_runs', 'stream_id, "offset"']]) {
      await query(`create table public.${table}_${name} partition of sealcast.${table} (primary key (${key})) for values from (${day}) to (${day + DAY})`);
    }
  }
  await query('create table public.runs_rest (like sealcast.stream_runs including all, primary key (stream_id, "offset"))');
  await query('alter table sealcast.stream_runs attach partition public.runs_rest default');
  const runs = [];
  const rows = [];
  log = [];
  let publicBefore = 0;
  for (let offset = 1, ts = first; ts < today; ts += 1 + roll(DAY * 0.6)) {
    const messages = 1 + roll(5);
    const bits = roll(2) === 0 ? null : roll(2 ** messages);
    runs.push({ offset, messages, ts, logged_at: roll(10) === 0 ? ts - 100 * DAY : ts, public_before: publicBefore, bits });
    for (let i = 0; i < messages; ++i, ++offset) {
      const isPublic = bits === null || ((bits >> i) & 1) === 1;
      if (offset % 7 !== 0) rows.push({ ts, id: offset, d: `{"n":${offset}}` });
      log.push({ offset, isPublic });
      if (isPublic) publicBefore = offset;
    }
  }
  await query(`insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id, public_before, public_bits)
    select $1, "offset", messages, logged_at, ts, "offset", public_before,
           case when bits is not null then decode(lpad(to_hex(bits), 2, '0'), 'hex') end
    from jsonb_to_recordset($2) r ("offset" bigint, messages integer, logged_at bigint, ts bigint, public_before bigint, bits integer)`,
    [busy, JSON.stringify(runs)]);
  await query(`insert into sealcast.messages (ts, message_id, stream_id, sender_id, txn_id, t, kid, sig, d)
    select ts, id, $1, $1, gen_random_uuid(), 'chat', 'k1', '\\x00', d from jsonb_to_recordset($2) r (ts bigint, id bigint, d text)`,
    [busy, JSON.stringify(rows)]);
  await query(`insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) values ($1, 1, 1, $2, $2, 900000)`,
    [quiet, first]);
});
after(() => database.drop());

// The page as the log says it.
function expected(afterOffset, beforeOffset, limit, channel) {
  const seen = log.filter((m) => channel === 'vip' || m.isPublic);
  const inside = seen.filter((m) => m.offset > (afterOffset ?? 0) && m.offset < (beforeOffset ?? Infinity));
  const page = afterOffset === null ? inside.slice(-limit) : inside.slice(0, limit);
  return page.map((m) => {
    const prev = seen.filter((other) => other.offset < m.offset).at(-1)?.offset ?? 0;
    return `${m.offset} after ${prev}${m.offset % 7 === 0 ? ' gone' : ''}`;
  });
}

const page = async (...bounds) => (await query(`select "offset", prev, envelope::json -> 'd' ->> 'n' as n from sealcast.history($1, $2, $3, $4, $5)`, [busy, ...bounds]))
  .map((row) => {
    assert(row.n === null || row.n === row.offset, `${row.offset} has the message ${row.n}`);
    return `${row.offset} after ${row.prev}${row.n === null ? ' gone' : ''}`;
  });

test('every page is the part of the log that it names', async () => {
  const last = log.length;
  const bounds = [null, 0, 1, 2, 7, last - 1, last, last + 1, ...Array.from({ length: 25 }, () => roll(last))];
  for (const channel of ['vip', 'public']) {
    for (const from of bounds) {
      for (const limit of [1, 2, 5, 50, 500]) {
        const to = bounds[roll(bounds.length)];
        for (const range of [[from, null], [null, from], [from, to]]) {
          assert.deepEqual(await page(...range, limit, channel), expected(...range, limit, channel), `${[...range, limit, channel]}`);
        }
      }
    }
  }
});

test('a walk forwards and a walk backwards return the whole log', async () => {
  for (const channel of ['vip', 'public']) {
    const all = expected(null, null, Infinity, channel);
    const up = [];
    for (let rows = await page(0, null, 3, channel); rows.length > 0; rows = await page(Number(up.at(-1).split(' ')[0]), null, 3, channel)) up.push(...rows);
    assert.deepEqual(up, all);
    const down = [];
    for (let rows = await page(null, null, 3, channel); rows.length > 0; rows = await page(null, Number(down[0].split(' ')[0]), 3, channel)) down.unshift(...rows);
    assert.deepEqual(down, all);
  }
});

test('a page holds the locks of the partitions that it reads, not of all', async () => {
  const locks = async (stream, ...bounds) => {
    await query('begin');
    await query('select from sealcast.history($1, $2, $3)', [stream, ...bounds]);
    const [{ n }] = await query(`select count(*)::int as n from pg_locks l join pg_class c on c.oid = l.relation
      where l.pid = pg_backend_pid() and c.relname ~ '_20[0-9]{6}'`);
    await query('rollback');
    return n;
  };
  assert((await locks(busy, null, null)) <= 60, 'the newest page reads about ten days of two tables and their indexes');
  assert((await locks(quiet, null, null)) <= 4, 'the newest page of a stream that has been quiet for 40 days');
  assert((await locks(quiet, 1, null)) <= 4, 'nothing after the newest message of such a stream');
});

// All rows are in one partition: a statement asks for the rights in each partition anew.
test('a reader who loses the role in the middle of a long read sees no more rows', async () => {
  await query(`insert into sealcast.messages (ts, message_id, stream_id, sender_id, txn_id, t, kid, sig, d)
    select $2, 900000 + n, $1, $1, gen_random_uuid(), 'chat', 'k1', '\\x00', '{}' from generate_series(0, 999) n`, [quiet, today - DAYS * DAY]);
  await query(`update sealcast.streams set visibility = 'private' where stream_id = $1`, [quiet]);
  await query(`insert into sealcast.stream_roles (stream_id, user_id, role) values ($1, $1, 'member')`, [quiet]);
  const reader = await database.connect();
  await reader.query('begin');
  await reader.query(`select set_config('request.jwt.claims', $1, true)`, [JSON.stringify({ sub: quiet })]);
  await reader.query('set local role sealcast_user');
  await reader.query(`declare rows cursor for select message_id from sealcast.messages where stream_id = '${quiet}'`);
  const fetch = async (count) => (await reader.query(`fetch ${count} from rows`)).rows.length;
  assert.equal(await fetch(3), 3);
  await query('delete from sealcast.stream_roles where stream_id = $1', [quiet]);
  await until('the rows end', async () => (await fetch(1)) === 0);
  assert.equal(await fetch('all'), 0);
  await reader.query('rollback');
});
