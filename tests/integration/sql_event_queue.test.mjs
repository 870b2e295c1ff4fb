// The queue of a sender whose event fails, while one transaction adds events and another one retries the first ones: no
// event is left behind, and each is applied once and in order.
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
    create table public.applied (txn_id uuid, place bigint generated always as identity);
    create table public.broken (txn_id uuid);
    create function public.note(e sealcast.event) returns void language plpgsql security definer as $$
    begin
      if exists (select from public.broken b where b.txn_id = e.txn_id) then raise exception 'broken'; end if;
      insert into public.applied values (e.txn_id);
    end $$`);
});
after(() => database?.drop());

const txn = (envelope) => JSON.parse(envelope).txn_id;
const queue = async (handler) =>
  (await client.query('select txn_id, due_at is not null as due from sealcast.event_attempts where handler = $1 order by "offset"', [handler])).rows;
const waitsForLock = (connection) =>
  until('it waits for a lock', async () => {
    const { rows } = await client.query('select wait_event_type from pg_stat_activity where pid = $1', [connection.processID]);
    return rows[0].wait_event_type === 'Lock';
  });

// A sender whose first event fails: `envelopes` are its events. Two connections of one worker: one reads the partition, one retries.
async function failing(count) {
  const handler = `g${randomUUID()}`;
  await client.query("select sealcast.register_handler($1, 'chat', 'public.note(sealcast.event)', group_name => $1)", [handler]);
  const reader = new Worker(await database.connect(), 'reader', handler);
  assert(await reader.claim(600_000));
  const sender = randomUUID();
  const verdicts = await admit(client, Array.from({ length: count }, () => ({ stream, sender, d: {} })));
  const envelopes = verdicts.map(({ envelope }) => envelope);
  const apply = async (connection, wanted, entries) => {
    const offsets = wanted.map((envelope) => envelopes.indexOf(envelope) + 1);
    const { rows } = await connection.query('select outcome from sealcast_internal.apply_events($1, $1, 0, $2, $3, $4, $5)', [
      handler, reader.epoch, wanted, offsets, entries ? wanted.map((_, i) => `${i}-0`) : null,
    ]);
    return rows.map(({ outcome }) => outcome);
  };
  await client.query('insert into public.broken values ($1)', [txn(envelopes[0])]);
  assert.deepEqual(await apply(reader.client, [envelopes[0]], true), ['failed']);
  await client.query('truncate public.broken');
  return { handler, envelopes, reader: reader.client, retrier: await database.connect(), apply };
}

async function retryAll({ handler, apply }) {
  await client.query('update sealcast.event_attempts set due_at = now() where handler = $1 and due_at is not null', [handler]);
  for (;;) {
    const { rows } = await client.query('select envelope from sealcast_internal.events_to_retry($1, 10)', [handler]);
    if (rows.length === 0) return;
    await apply(client, rows.map(({ envelope }) => envelope), false);
  }
}

async function allApplied({ handler, envelopes }) {
  assert.deepEqual(await queue(handler), []);
  const { rows } = await client.query('select txn_id from public.applied where txn_id = any ($1) order by place', [envelopes.map(txn)]);
  assert.deepEqual(rows.map(({ txn_id }) => txn_id), envelopes.map(txn));
}

for (const end of ['commit', 'rollback']) {
  test(`an event that is added while the last waiting event is retried is not left behind after the ${end}`, { timeout: 60_000 }, async () => {
    const scene = await failing(2);
    const [first, second] = scene.envelopes;
    await scene.retrier.query('begin');
    assert.deepEqual(await scene.apply(scene.retrier, [first], false), ['applied']);
    const adding = scene.apply(scene.reader, [second], true);
    await waitsForLock(scene.reader);
    await scene.retrier.query(end);
    assert.deepEqual(await adding, ['held']);
    const left = end === 'commit' ? [{ txn_id: txn(second), due: true }] : [{ txn_id: txn(first), due: true }, { txn_id: txn(second), due: false }];
    assert.deepEqual(await queue(scene.handler), left);
    await retryAll(scene);
    await allApplied(scene);
  });

  test(`a retry that meets an event that is being added leaves the rest in order after the ${end}`, { timeout: 60_000 }, async () => {
    const scene = await failing(2);
    const [first, second] = scene.envelopes;
    await scene.reader.query('begin');
    assert.deepEqual(await scene.apply(scene.reader, [second], true), ['held']);
    const retrying = scene.apply(scene.retrier, [first], false);
    await waitsForLock(scene.retrier);
    await scene.reader.query(end);
    assert.deepEqual(await retrying, ['applied']);
    assert.deepEqual(await queue(scene.handler), end === 'commit' ? [{ txn_id: txn(second), due: true }] : []);
    if (end === 'rollback') assert.deepEqual(await scene.apply(scene.reader, [second], true), ['applied']);
    await retryAll(scene);
    await allApplied(scene);
  });
}

// hold_events() has found that the due event of the sender is gone, and meanwhile the next one is retried, too.
test('an event that is added behind an event that is being deleted becomes due itself', { timeout: 60_000 }, async () => {
  const scene = await failing(3);
  const [first, second, third] = scene.envelopes;
  assert.deepEqual(await scene.apply(scene.reader, [second], true), ['held']);
  assert.deepEqual(await scene.apply(scene.retrier, [first], false), ['applied']);
  await scene.retrier.query('begin');
  assert.deepEqual(await scene.apply(scene.retrier, [second], false), ['applied']);
  const { stream_id, s: sender_id, txn_id } = JSON.parse(third);
  await scene.reader.query('begin');
  await scene.reader.query(`insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset")
    values ($1, $2, $3, 0, 'waits', $4, 3)`, [scene.handler, sender_id, txn_id, stream_id]);
  const queueing = scene.reader.query('select sealcast_internal.queue_sender($1, $2)', [scene.handler, sender_id]);
  await waitsForLock(scene.reader);
  await scene.retrier.query('commit');
  await queueing;
  await scene.reader.query('commit');
  assert.deepEqual(await queue(scene.handler), [{ txn_id, due: true }]);
  await retryAll(scene);
  await allApplied(scene);
});

test('events that are added while others are retried, many times over, are all applied in order', { timeout: 120_000 }, async () => {
  const scene = await failing(300);
  let added = 1;
  const add = async () => {
    for (; added < 300; added += 3) await scene.apply(scene.reader, scene.envelopes.slice(added, added + 3), true);
  };
  const retry = async () => {
    while (added < 300) await retryAll(scene);
  };
  await Promise.all([add(), retry()]);
  await retryAll(scene);
  await allApplied(scene);
});
