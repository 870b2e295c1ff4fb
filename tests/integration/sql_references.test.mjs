// References without foreign keys hold while a stream or cell is deleted in another transaction.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Database, admit, maintain, makeStreams } from './sql_database.mjs';
import { until } from './waiting.mjs';

let database;
let writer;
let deleter;

before(async () => {
  database = await Database.create();
  writer = await database.connect();
  await maintain(writer);
  deleter = await database.connect();
  await writer.query("insert into sealcast.cells values ('a', 'https://a.example'), ('b', 'https://b.example')");
});
after(() => database?.drop());

// Runs a statement that must wait for the other connection's transaction; resolves with its promise.
async function waiting(client, sql, parameters) {
  const { rows: [{ pid }] } = await client.query('select pg_backend_pid() as pid');
  const result = client.query(sql, parameters).then(() => null, (error) => error);
  const observer = client === writer ? deleter : writer;
  await until('the statement waits', async () =>
    (await observer.query("select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'", [pid])).rows.length === 1);
  return { result };
}

// Makes a stream with one relayed message.
async function makeStream() {
  const [stream] = await makeStreams(writer, 1);
  await admit(writer, [{ stream, sender: randomUUID() }]);
  await writer.query(`insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
    select stream_id, 1, 1, ts, ts, message_id from sealcast.messages where stream_id = $1`, [stream]);
  return stream;
}

const writes = [
  ['set_role()', 'stream_roles', (stream) => ['select sealcast.set_role($1, $2, $3)', [stream, randomUUID(), 'vip']]],
  ['mute()', 'restrictions', (stream) => ['select sealcast.mute($1, $2)', [stream, randomUUID()]]],
  ['set_stream_rules()', 'stream_rules', (stream) => ['select sealcast.set_stream_rules($1, $2)', [stream, '{"slow_mode_s":5}']]],
  ['pin_message()', 'pins', (stream) => ['select sealcast.pin_message($1, 1)', [stream]]],
  ['report_message()', 'reports', (stream) => [
    "select set_config('request.jwt.claims', $2, false), sealcast.report_message($1, 1)", [stream, JSON.stringify({ sub: randomUUID() })]]],
  ['add_blocked_term()', 'blocked_terms', (stream) => ['select sealcast.add_blocked_term($1, $2)', [stream, 'darn']]],
  ['set_delivery_mode()', 'switching', (stream) => ['select sealcast.set_delivery_mode($1, $2)', [stream, 'hot']]],
];
for (const [name, table, write] of writes) {
  test(`the deletion of a stream waits for ${name} and deletes its row`, async () => {
    const stream = await makeStream();
    await writer.query('begin');
    await writer.query(...write(stream));
    const deletion = await waiting(deleter, 'delete from sealcast.streams where stream_id = $1', [stream]);
    await writer.query('commit');
    assert.equal(await deletion.result, null);
    assert.equal((await writer.query(`select from sealcast.${table} where stream_id = $1`, [stream])).rows.length, 0);
  });

  test(`${name} waits for the deletion of a stream and is refused`, async () => {
    const stream = await makeStream();
    await deleter.query('begin');
    await deleter.query('delete from sealcast.streams where stream_id = $1', [stream]);
    const written = await waiting(writer, ...write(stream));
    await deleter.query('commit');
    assert.match((await written.result)?.message, /stream .* does not exist/);
    assert.equal((await writer.query(`select from sealcast.${table} where stream_id = $1`, [stream])).rows.length, 0);
  });
}

test('the deletion of a cell waits for a pin and is refused', async () => {
  await writer.query("begin; set local role sealcast_admin; insert into sealcast.cell_pins values (gen_random_uuid(), 'b'); reset role");
  const deletion = await waiting(deleter, "delete from sealcast.cells where cell = 'b'");
  await writer.query('commit');
  assert.equal((await deletion.result)?.message, 'streams are pinned to cell b');
});
