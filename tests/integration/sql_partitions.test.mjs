// Partitions that users made, clocks that were set back and extreme offsets: the relay goes on, or says what is wrong.
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { Database, Holder, admit, maintain, makeStreams } from './sql_database.mjs';

const DAY = 86_400_000;
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;
const databases = [];
let client;
let relay;
let stream;

const query = async (sql, parameters) => (await client.query(sql, parameters)).rows;
const today = () => Math.floor(Date.now() / DAY) * DAY;
const nameOf = (ms) => new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
const send = async () => assert.equal((await admit(client, [{ stream, sender: stream }]))[0].status, 200);
const maintained = async () => (await maintain(client)).map((row) => `${row.action} ${row.object}`);

// Sends a message, and resolves with the offsets that a drain gives.
async function relayed() {
  await send();
  return (await relay.drain(100)).map((row) => Number(row.offset));
}

beforeEach(async () => {
  const database = await Database.create({ extension: false });
  databases.push(database);
  client = await database.connect();
  await query('create extension sealcast');
  [stream] = await makeStreams(client, 1);
  relay = new Holder(client, 'relay');
  await relay.claim(60_000);
});
after(() => Promise.all(databases.map((database) => database.drop())));

test('empty default partitions change nothing', async () => {
  await maintained();
  for (const table of ['sealcast.messages', 'sealcast.stream_runs', 'sealcast_internal.outbox']) {
    await query(`create table public.${table.split('.')[1]}_rest partition of ${table} default`);
  }
  assert.deepEqual(await relayed(), [1]);
  assert.deepEqual(await relayed(), [2]);
  assert.deepEqual(await maintained(), ['indexed public.messages_rest', 'indexed public.stream_runs_rest']);
  assert.deepEqual(await maintained(), []);
  assert.deepEqual(await relayed(), [3]);
  assert.equal((await query('select * from sealcast.history($1)', [stream])).length, 3);
});

test('default partitions with rows of a day: the relay reads them, and maintain() names the day that it cannot make', async () => {
  await query('select sealcast.add_defaults()');
  for (const table of ['messages', 'stream_runs']) await query(`create table public.${table}_rest partition of sealcast.${table} default`);
  await send();
  await assert.rejects(relay.drain(100), { code: '55000', message: 'partition messages_rest has rows and no index on (ts, message_id)' });
  const notices = [];
  client.on('notice', (notice) => notices.push(notice));
  const day = nameOf(today());
  const actions = await maintained();
  assert(actions.includes(`blocked sealcast.messages_${day}`), actions.join());
  assert(actions.includes('indexed public.messages_rest'));
  assert(actions.some((action) => action.startsWith('created sealcast.messages_')), 'the other days are made');
  assert.match(notices[0].message, new RegExp(`^cannot make the partition sealcast.messages_${day}: updated partition constraint for default partition`));
  assert.match(notices[0].hint, /move the rows of the day out of the default partition/);
  assert.deepEqual((await relay.drain(100)).map((row) => [row.offset, row.envelope !== null]), [['1', true]]);
  assert.deepEqual(await relayed(), [2]);
  assert.deepEqual(await relayed(), [3]);
});

test('the newest offset is the higher one of a default partition and a day', async () => {
  await query('create table public.runs_rest partition of sealcast.stream_runs default');
  await query('create table public.messages_rest partition of sealcast.messages default');
  await maintained();
  const run = (offset, loggedAt) => query('insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) values ($1, $2, 1, $3, 0, 1)',
    [stream, offset, loggedAt]);
  await run(1, today() - 40 * DAY); // the default partition
  await run(2, today());
  assert.deepEqual(await relayed(), [3]);
  await run(4, today() + 40 * DAY); // the default partition
  assert.deepEqual(await relayed(), [5]);
  assert.deepEqual(await relayed(), [6]);
});

test('the next offset follows the newest run, also when its time is later than now', async () => {
  await maintained();
  await query('insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) values ($1, 1, 3, $2, 0, 1)', [stream, today() + 2 * DAY + 5]);
  for (let offset = 4; offset <= 6; ++offset) assert.deepEqual(await relayed(), [offset]);
  const frames = await query('select "offset" from sealcast_internal.tail($1, $2, 10) where stream_id is not null', [relay.mine.map((row) => row.shard), relay.mine.map((row) => row.batch)]);
  assert.deepEqual(frames.map((row) => row.offset), ['4', '5', '6']);
});

test('partitions with other bounds, columns in another order and another name', async () => {
  const [from, to] = [today() - 10 * DAY, today() + 2 * DAY];
  await query(`
    create table public.half (d text not null, sig bytea not null, kid text not null, t text not null, txn_id uuid not null, sender_id uuid not null,
      stream_id uuid not null, message_id bigint not null, ts bigint not null);
    alter table public.half add primary key (message_id, ts);
    create table public.runs (first_id bigint not null, ts bigint not null, logged_at bigint not null, messages integer not null, "offset" bigint not null,
      stream_id uuid not null, public_bits bytea, public_before bigint);
    alter table public.runs add primary key ("offset", stream_id);
    alter table sealcast.messages attach partition public.half for values from (${from}) to (${to});
    alter table sealcast.stream_runs attach partition public.runs for values from (minvalue) to (${to})`);
  const actions = await maintained();
  assert.deepEqual(actions.filter((action) => !action.startsWith('created')).sort(), ['indexed public.half', 'indexed public.runs']);
  assert(!actions.includes(`created sealcast.messages_${nameOf(today())}`), 'a day inside another partition needs none');
  for (let offset = 1; offset <= 3; ++offset) assert.deepEqual(await relayed(), [offset]);
  assert.equal((await query('select count(*)::int as n from public.half'))[0].n, 3);
  assert.equal((await query('select * from sealcast.history($1)', [stream])).filter((row) => row.envelope !== null).length, 3);
});

test('maintain() drops no partition of other bounds, whatever its name', async () => {
  await maintained();
  const old = today() - 60 * DAY;
  const name = `messages_${nameOf(old)}`;
  await query(`create table sealcast.${name} partition of sealcast.messages for values from (${old}) to (${today() - 2 * DAY})`);
  await query(`create table sealcast.${name}_ partition of sealcast.messages for values from (${old - 2 * DAY}) to (${old - DAY})`);
  assert.deepEqual((await maintained()).sort(), [`indexed sealcast.${name}`, `indexed sealcast.${name}_`]);
  assert.equal((await query('select to_regclass($1)::text as name', [`sealcast.${name}`]))[0].name, `sealcast.${name}`);
});

test('a detached partition and a part of a day block one day, not the others', async () => {
  await maintained();
  const [detached, partly] = [today() + 2 * DAY, today() + 3 * DAY];
  await query(`alter table sealcast.messages detach partition sealcast.messages_${nameOf(detached)};
    drop table sealcast.messages_${nameOf(partly)};
    create table public.hour partition of sealcast.messages for values from (${partly}) to (${partly + 3_600_000});
    update sealcast.retention set days_ahead = 4`);
  const actions = await maintained();
  assert.deepEqual(actions.filter((action) => action.startsWith('blocked')),
    [`blocked sealcast.messages_${nameOf(detached)}`, `blocked sealcast.messages_${nameOf(partly)}`]);
  assert(actions.includes(`created sealcast.messages_${nameOf(today() + 4 * DAY)}`));
  assert.deepEqual(await relayed(), [1]);
});

test('a partition that is partitioned again is refused by name', async () => {
  await query(`create table public.parts partition of sealcast.messages for values from (0) to (${today() + 9 * DAY}) partition by range (ts);
    create table public.part partition of public.parts for values from (0) to (${today() + 9 * DAY})`);
  await maintained();
  await send();
  await assert.rejects(relay.drain(100), { code: '55000', message: 'partition parts is not a plain table' });
});

test('an offset is an exact number in JSON', async () => {
  await maintained();
  for (const wrong of ['-1', '9007199254740992', '9223372036854775807']) {
    await assert.rejects(query('update sealcast.streams set trimmed_through = $1', [wrong]), { code: '23514' });
  }
  await query('update sealcast.streams set trimmed_through = $1', [MAX_OFFSET - 1]);
  assert.deepEqual(await relayed(), [MAX_OFFSET]);
  await send();
  await assert.rejects(relay.drain(100), { code: '54000', message: `stream ${stream} has no offset after ${MAX_OFFSET}` });
});
