// Event partitions that change hands while the worker of before is in the middle: each event has its effect once.
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
    create table public.applied (txn_id uuid);
    create function public.note(e sealcast.event) returns void language sql security definer
      as 'insert into public.applied values (e.txn_id)';
    create function public.fail_at_length(e sealcast.event) returns void language plpgsql security definer
      as $$ begin raise exception '%', repeat('x', 16000); end $$`);
});
after(() => database?.drop());

const one = async (sql, parameters) => (await client.query(sql, parameters)).rows[0];

// A group of a test's own: its handler, and workers by these names. The lease is there, and nobody's.
async function makeWorkers(names, handler = 'note') {
  const group = `g${randomUUID()}`;
  await client.query("select sealcast.register_handler($1, 'chat', $2, batch_size => 1000, group_name => $1)", [group, `public.${handler}(sealcast.event)`]);
  const connect = async (name) => new Worker(await database.connect(), name, group);
  const first = await connect('nobody');
  await first.claim(600_000);
  await client.query('select sealcast.release_partitions($1, $2)', [group, first.name]);
  return Promise.all(names.map(connect));
}

async function say(count = 1, filling) {
  const verdicts = await admit(client, Array.from({ length: count }, () => ({ stream, sender: randomUUID(), d: { filling } })));
  assert(verdicts.every((verdict) => verdict.status === 200));
  return verdicts.map((verdict) => verdict.envelope);
}

const times = async (envelope) =>
  Number((await one('select count(*) from public.applied where txn_id = $1', [JSON.parse(envelope).txn_id])).count);
const finishedTo = async ({ group }) => (await one('select finished_to from sealcast.event_leases where group_name = $1', [group])).finished_to;
const ended = ({ group }) =>
  until('the lease has run out', async () =>
    (await one('select lease_until < clock_timestamp() as out from sealcast.event_leases where group_name = $1', [group])).out);
const taken = (worker) => until('the lease has run out', () => worker.claim(600_000));

test("a claim that is not committed is nobody's: not taken by another meanwhile, and free after a rollback", async () => {
  const [first, second] = await makeWorkers(['first', 'second']);
  for (const [end, heldBySecond] of [['rollback', true], ['commit', false]]) {
    await first.client.query('begin');
    assert(await first.claim(600_000));
    assert.equal(await second.claim(600_000), false, 'it does not wait either');
    await first.client.query(end);
    assert.equal(await second.claim(600_000), heldBySecond, end);
    await second.client.query('select sealcast.release_partitions($1, $2)', [second.group, second.name]);
  }
});

test('what is applied while a takeover is not committed waits for it, and is nothing after a commit', { timeout: 60_000 }, async () => {
  for (const end of ['rollback', 'commit']) {
    const [envelope] = await say();
    const [late, successor] = await makeWorkers(['late', 'successor']);
    assert(await late.claim(100));
    await ended(late);
    await successor.client.query('begin');
    assert(await successor.claim(600_000));
    const { pid } = (await late.client.query('select pg_backend_pid() as pid')).rows[0];
    const applying = late.apply([envelope]);
    await until('it waits', async () => (await one('select wait_event_type from pg_stat_activity where pid = $1', [pid])).wait_event_type === 'Lock');
    await successor.client.query(end);
    assert.deepEqual(await applying, end === 'rollback' ? ['applied'] : null, end);
    assert.equal(await times(envelope), end === 'rollback' ? 1 : 0);
  }
});

test('while a handler is being registered nothing is applied without it, and then everybody begins anew', { timeout: 60_000 }, async () => {
  const [envelope] = await say();
  const [worker] = await makeWorkers(['worker']);
  assert(await worker.claim(600_000));
  const admin = await database.connect();
  await admin.query('begin');
  const register = "select sealcast.register_handler($1, null, 'public.note(sealcast.event)', group_name => $2)";
  await admin.query(register, [`h${randomUUID()}`, worker.group]);
  const { pid } = (await worker.client.query('select pg_backend_pid() as pid')).rows[0];
  const applying = worker.apply([envelope]);
  await until('it waits', async () => (await one('select wait_event_type from pg_stat_activity where pid = $1', [pid])).wait_event_type === 'Lock');
  await admin.query('commit');
  assert.equal(await applying, null);
  assert.equal(await times(envelope), 0);
});

for (const level of ['repeatable read', 'serializable']) {
  test(`a ${level} claim by an old snapshot takes nothing from who has claimed since`, async () => {
    const [stale, current] = await makeWorkers(['stale', 'current']);
    await stale.client.query(`begin isolation level ${level}`);
    await stale.client.query('select from sealcast.event_leases'); // it is free, as it sees it
    assert(await current.claim(600_000));
    await assert.rejects(stale.claim(600_000), { code: '40001' });
    await stale.client.query('rollback');
    assert.equal(await stale.claim(600_000), false);
  });

  for (const [what, act] of [['apply', (worker, envelope) => worker.apply([envelope])], ['finish', (worker) => worker.finish(9000)]]) {
    test(`${what}, ${level} and by an old snapshot, changes nothing after the partition was taken over`, async () => {
      const [envelope] = await say();
      const [late, successor] = await makeWorkers(['late', 'successor']);
      assert(await late.claim(100));
      await late.client.query(`begin isolation level ${level}`);
      await late.client.query('select from sealcast.event_leases'); // it is its own, as it sees it
      await taken(successor);
      await successor.finish(5000);
      assert.deepEqual(await successor.apply([envelope]), ['applied']);
      const got = await act(late, envelope).catch((error) => error.code);
      assert(got === null || got === '40001', JSON.stringify(got));
      await late.client.query('rollback');
      assert.equal(await times(envelope), 1);
      assert.equal(await finishedTo(successor), '5000');
    });
  }
}

for (const end of ['commit', 'rollback']) {
  test(`events whose transaction is open when the lease runs out: not taken over from before its ${end}`, async () => {
    const [envelope] = await say();
    const [slow, successor] = await makeWorkers(['slow', 'successor']);
    assert(await slow.claim(100));
    await slow.client.query('begin');
    assert.deepEqual(await slow.apply([envelope]), ['applied']);
    await ended(slow);
    assert.equal(await successor.claim(600_000), false, 'the partition is locked');
    await slow.client.query(end);
    assert(await successor.claim(600_000));
    assert.deepEqual(await successor.apply([envelope]), [end === 'commit' ? 'repeated' : 'applied']);
    assert.equal(await times(envelope), 1);
    assert.equal(await slow.apply([envelope]), null, 'and it changes nothing any more');
  });

  test(`what is finished by an open transaction when the lease runs out: not taken over from before its ${end}`, async () => {
    const [slow, successor] = await makeWorkers(['slow', 'successor']);
    assert(await slow.claim(100));
    await slow.client.query('begin');
    await slow.finish(5000);
    await ended(slow);
    assert.equal(await successor.claim(600_000), false, 'the partition is locked');
    await slow.client.query(end);
    assert(await successor.claim(600_000));
    assert.equal(await finishedTo(successor), end === 'commit' ? '5000' : null);
    await slow.finish(9000);
    assert.equal(await finishedTo(successor), end === 'commit' ? '5000' : null, 'and it changes nothing any more');
  });
}

test('a worker that freezes and wakes late changes nothing', async () => {
  const [envelope] = await say();
  const [frozen, successor] = await makeWorkers(['frozen', 'successor']);
  assert(await frozen.claim(100));
  await taken(successor);
  await successor.finish(5000);
  const leases = 'select * from sealcast.event_leases where group_name = $1';
  const untouched = await one(leases, [frozen.group]);
  assert.equal(await frozen.apply([envelope]), null, 'it applies nothing');
  const { fail_event: counted } = (await frozen.client.query('select sealcast.fail_event($1, $1, 0, $2, $3, 1, $4)', [frozen.group, frozen.epoch, envelope, 'late'])).rows[0];
  assert.equal(counted, null, 'it counts no failure');
  await frozen.finish(9000);
  await frozen.client.query('select sealcast.release_partitions($1, $2)', [frozen.group, frozen.name]);
  assert.deepEqual(await one(leases, [frozen.group]), untouched, 'it moves nothing');
  assert.equal(await frozen.claim(600_000), false, 'nor does it get the partition back');
  assert.deepEqual(await successor.apply([envelope]), ['applied']);
  assert.equal(await times(envelope), 1);
});

test('a worker that freezes while it is told the outcomes is taken over from', { timeout: 60_000 }, async () => {
  const envelopes = await say(1000);
  const [frozen, successor] = await makeWorkers(['frozen', 'successor'], 'fail_at_length');
  assert(await frozen.claim(100));
  const { pid } = (await frozen.client.query('select pg_backend_pid() as pid')).rows[0];
  frozen.client.connection.stream.pause();
  const cut = assert.rejects(frozen.apply(envelopes));
  await until('its backend cannot go on', async () =>
    (await one('select wait_event from pg_stat_activity where pid = $1', [pid]))?.wait_event === 'ClientWrite');
  await taken(successor);
  frozen.client.connection.stream.resume();
  await cut;
  assert.deepEqual(new Set(await successor.apply(envelopes)), new Set(['failed']));
  const { most } = await one('select max(attempts) as most from sealcast.event_attempts where handler = $1', [frozen.group]);
  assert.equal(most, 1, 'what was cut off is not counted');
});
