// SQL with several concurrent sessions: txn_ids held by open transactions, and offsets given while others write.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { dice } from './dice.mjs';
import { Database, Holder, admit, makeStreams } from './sql_database.mjs';
import { until } from './waiting.mjs';

let database;
let client;

before(async () => {
  database = await Database.create();
  client = await database.connect();
});
after(() => database?.drop());

const one = async (sql, parameters) => (await client.query(sql, parameters)).rows[0];
const count = async (table, streams) =>
  Number((await one(`select count(*) from ${table} where stream_id = any ($1)`, [streams])).count);

// Compares the relayed messages of the streams with the committed ones.
async function checkRelayed(relayed, streams) {
  const { rows } = await client.query('select txn_id from sealcast.messages where stream_id = any ($1)', [streams]);
  const ours = relayed.filter((row) => streams.includes(row.stream_id));
  const envelopes = ours.map((row) => JSON.parse(row.envelope));
  assert.deepEqual(envelopes.map((e) => e.txn_id).sort(), rows.map((row) => row.txn_id).sort(), 'each committed message is relayed once');
  for (const stream of streams) {
    const offsets = ours.filter((row) => row.stream_id === stream).map((row) => Number(row.offset));
    assert.deepEqual(offsets, offsets.map((_, i) => i + 1), `offsets of ${stream} in order, from 1 without gaps`);
    for (const row of ours) assert.equal(Number(row.prev), Number(row.offset) - 1);
  }
  const last = new Map();
  for (const { s, stream_id, d } of envelopes) {
    const key = `${s} ${stream_id}`;
    assert(!(last.get(key) >= d.n), `sender ${s} sent ${d.n} after ${last.get(key)}`);
    last.set(key, d.n);
  }
}

// Sends messages in transactions that commit, roll back and nest at random, for `rounds` rounds and while more() returns true.
async function write(streams, seed, rounds, more = () => false) {
  const roll = dice(seed);
  const writer = await database.connect();
  const sender = randomUUID();
  let n = 0;
  const send = async () => {
    const [verdict] = await admit(writer, [{ stream: streams[roll(streams.length)], sender, d: { n: ++n } }]);
    assert.equal(verdict.status, 200);
  };
  for (let round = 0; round < rounds || more(); ++round) {
    await writer.query('begin');
    await send();
    if (roll(2)) {
      await writer.query('savepoint s');
      await send();
      await writer.query(roll(2) ? 'rollback to s' : 'release s');
      if (roll(2)) await send();
    }
    if (roll(3) === 0) await writer.query('select pg_sleep($1)', [roll(20) / 1000]);
    await writer.query(roll(4) === 0 ? 'rollback' : 'commit');
  }
}

test('while others write, each committed message gets one offset, in order', { timeout: 120_000 }, async () => {
  const streams = await makeStreams(client, 5);
  const early = await database.connect(); // sends first, commits last
  await early.query('begin');
  await admit(early, [{ stream: streams[0], sender: randomUUID(), d: { n: 1 } }]);
  const late = await database.connect(); // has its xid first, sends last
  await late.query('begin; select pg_current_xact_id()');

  const relayed = [];
  const tailed = [];
  let writing = true;
  const relay = new Holder(await database.connect(), 'relay');
  const neighbour = await database.connect();
  await relay.claim(600_000);
  const shards = relay.mine.map((row) => row.shard);
  const seen = relay.mine.map((row) => row.batch);
  const tail = async () => {
    const { rows } = await neighbour.query('select * from sealcast_internal.tail($1, $2, 5)', [shards, seen]);
    for (const row of rows) {
      seen[shards.indexOf(row.shard)] = row.batch;
      if (row.stream_id !== null) tailed.push(row);
    }
    return rows.length;
  };
  const drainAll = async () => {
    for (;;) {
      const last = !writing;
      const rows = await relay.drain(3);
      if (rows !== null) relayed.push(...rows);
      else if (last) return;
      await tail();
    }
  };
  const writers = Array.from({ length: 8 }, (_, i) => write(streams, i + 1, 25));
  const draining = drainAll();
  await Promise.all(writers);
  const sender = randomUUID();
  await admit(client, [{ stream: streams[1], sender, d: { n: 1 } }]);
  await admit(late, [{ stream: streams[1], sender, d: { n: 2 } }]);
  await late.query('commit');
  await until('the relay has relayed messages that are later than the open transaction', () => relayed.some((row) => JSON.parse(row.envelope).s === sender));
  await early.query('commit');
  writing = false;
  await draining;
  while (await tail());

  assert(relayed.length > 200, `${relayed.length} messages`);
  await checkRelayed(relayed, streams);
  const sorted = (rows) => rows.map((row) => `${row.stream_id} ${row.offset} ${row.batch} ${row.envelope}`).sort();
  assert.deepEqual(sorted(tailed), sorted(relayed), 'tail() returns the frames that drain() returned');
});

test('the outbox changes its segment while others write, without losing a message', { timeout: 120_000 }, async () => {
  const streams = await makeStreams(client, 3);
  const relay = new Holder(await database.connect(), 'relay');
  await relay.claim(600_000);
  const relayed = [];
  const roll = dice(99);
  let writing = true;
  let turns = 0;
  const rotate = async () => {
    const rotator = await database.connect();
    while (writing) {
      const { last_value: segment } = (await rotator.query('select last_value from sealcast_internal.outbox_segment')).rows[0];
      await rotator.query('select sealcast_internal.rotate_outbox(0)');
      const { last_value: next } = (await rotator.query('select last_value from sealcast_internal.outbox_segment')).rows[0];
      if (next !== segment) ++turns;
    }
  };
  const drainAll = async () => {
    for (;;) {
      const last = !writing;
      const rows = await relay.drain(7);
      if (rows !== null) relayed.push(...rows);
      else if (last) return;
      if (roll(4) === 0) await relay.client.query('select pg_sleep(0.05)'); // lets the relay fall behind, which must lose no message
    }
  };
  const others = [rotate(), drainAll()];
  await Promise.all(Array.from({ length: 6 }, (_, i) => write(streams, 100 + i, 25, () => turns < 6)));
  writing = false;
  await Promise.all(others);
  await checkRelayed(relayed, streams);
});

test('an open transaction keeps one segment of the outbox in use, and the other segments are still truncated', async () => {
  const [stream] = await makeStreams(client, 1);
  await client.query("update sealcast_internal.relay_leases set lease_until = '-infinity'");
  const relay = new Holder(await database.connect(), 'turns');
  await relay.claim(600_000);
  const open = await database.connect();
  const message = (n) => ({ stream, sender: randomUUID(), d: { n } });
  await open.query('begin');
  await admit(open, [message(0)]);
  const relayed = [];
  for (let n = 1; n <= 12; ++n) {
    await admit(client, [message(n)]);
    for (let rows = await relay.drain(10); rows !== null; rows = await relay.drain(10)) relayed.push(...rows);
    await client.query('select sealcast_internal.rotate_outbox(0)');
    const rows = await count('sealcast_internal.outbox', [stream]);
    assert(rows <= 2, `${rows} relayed rows are left after message ${n}`);
  }
  await open.query('commit');
  relayed.push(...(await relay.drain(10)));
  await checkRelayed(relayed, [stream]);
});

test('a holder that freezes past its lease changes nothing when it wakes', async () => {
  const [stream] = await makeStreams(client, 1);
  await client.query("update sealcast_internal.relay_leases set lease_until = '-infinity'");
  const frozen = new Holder(await database.connect(), 'frozen');
  const successor = new Holder(await database.connect(), 'successor');
  await frozen.claim(100);
  await admit(client, [{ stream, sender: randomUUID(), d: { n: 1 } }]);
  await until('the lease has expired', async () => (await successor.claim(600_000)) === 4);
  assert.equal(await frozen.drain(10), null, 'its drain returns nothing');
  const positions = 'select shard, batch, epoch from sealcast_internal.relay_log order by 1, 2';
  const untouched = (await client.query(positions)).rows;
  await frozen.client.query("select sealcast_internal.settle('sse', $1, $2, $3)", [[0, 1, 2, 3], frozen.mine.map((row) => row.epoch), [99, 99, 99, 99]]);
  assert.deepEqual((await client.query('select * from sealcast.deliveries where batch = 99')).rows, [], 'it cannot settle');
  assert.deepEqual((await client.query(positions)).rows, untouched, 'the positions are unchanged');
  await checkRelayed(await successor.drain(10), [stream]);
});

test('a holder that freezes while it receives a batch is replaced', { timeout: 60_000 }, async () => {
  const [stream] = await makeStreams(client, 1);
  await client.query("update sealcast_internal.relay_leases set lease_until = '-infinity'");
  const frozen = new Holder(await database.connect(), 'stuck');
  await frozen.claim(100);
  const filling = 'x'.repeat(16_000);
  for (let batch = 0; batch < 10; ++batch) {
    const verdicts = await admit(client, Array.from({ length: 100 }, (_, i) => ({ stream, sender: randomUUID(), d: { n: batch * 100 + i, filling } })));
    assert(verdicts.every((verdict) => verdict.status === 200));
  }
  const { pid } = (await frozen.client.query('select pg_backend_pid() as pid')).rows[0];
  frozen.client.connection.stream.pause();
  const cut = assert.rejects(frozen.drain(1000));
  await until('its backend waits for the client', async () =>
    (await one('select wait_event from pg_stat_activity where pid = $1', [pid]))?.wait_event === 'ClientWrite');
  const successor = new Holder(await database.connect(), 'next');
  await until('the successor holds all shards', async () => (await successor.claim(600_000)) === 4);
  frozen.client.connection.stream.resume();
  await cut;
  const relayed = [];
  for (let rows = await successor.drain(300); rows !== null; rows = await successor.drain(300)) relayed.push(...rows);
  assert.equal(relayed.length, 1000);
  await checkRelayed(relayed, [stream]);
});

test('a holder that reconnects gets its shard only after the drain of its lost connection has ended', async () => {
  const [stream] = await makeStreams(client, 1);
  await free();
  const [lost, again] = [new Holder(await database.connect(), 'holder'), new Holder(await database.connect(), 'holder')];
  await lost.claim(600_000);
  const { shard } = (await client.query('select sealcast_internal.shard_of($1) as shard', [stream])).rows[0];
  await admit(client, [{ stream, sender: randomUUID(), d: { n: 1 } }]);
  // The answer is lost with the connection, and the transaction is still open.
  await lost.client.query('begin');
  const drained = await lost.drain(10);
  await again.claim(600_000);
  await lost.client.query('commit');
  assert.equal(drained.length, 1);
  assert.ok(!again.mine.some((lease) => lease.shard === shard), 'the holder does not get the shard while that drain holds the lease');
  await again.claim(600_000);
  const lease = again.mine.find((one) => one.shard === shard);
  const { batch } = (await client.query('select max(batch) as batch from sealcast_internal.relay_log where shard = $1', [shard])).rows[0];
  assert.equal(lease.batch, batch, 'then the holder gets the shard with the batch that it has not seen');
  await admit(client, [{ stream, sender: randomUUID(), d: { n: 2 } }]);
  assert.equal(await lost.drain(10), null, 'later drains of the old connection return nothing');
  await checkRelayed([...drained, ...(await again.drain(10))], [stream]);
});

test('a drain does not return messages of its own open transaction', async () => {
  const [stream] = await makeStreams(client, 1);
  await client.query("update sealcast_internal.relay_leases set lease_until = '-infinity'");
  const relay = new Holder(await database.connect(), 'sender');
  await relay.claim(600_000);
  await relay.client.query('begin');
  await admit(relay.client, [{ stream, sender: randomUUID(), d: { n: 1 } }]);
  await admit(client, [{ stream, sender: randomUUID(), d: { n: 2 } }]); // ends later, has a later xid
  const first = await relay.drain(10);
  await admit(relay.client, [{ stream, sender: randomUUID(), d: { n: 3 } }]);
  await relay.client.query('commit');
  const second = await relay.drain(10);
  assert.deepEqual([first, second].map((rows) => rows.map((row) => JSON.parse(row.envelope).d.n)), [[2], [1, 3]]);
  await checkRelayed([...first, ...second], [stream]);
});

test('of two concurrent claims of a shard only one succeeds', { timeout: 60_000 }, async () => {
  const streams = await makeStreams(client, 6);
  await client.query("update sealcast_internal.relay_leases set lease_until = '-infinity'");
  const relayed = [];
  let writing = true;
  const serve = async (name, seed) => {
    const roll = dice(seed);
    const holder = new Holder(await database.connect(), name);
    for (;;) {
      const last = !writing;
      const held = await holder.claim(100);
      let rows = null;
      for (let turn = roll(8); turn >= 0; --turn) {
        rows = await holder.drain(2);
        relayed.push(...(rows ?? []));
      }
      if (last && held === 4 && rows === null) {
        await holder.client.query('select sealcast_internal.release_shards($1)', [name]);
        return;
      }
      if (roll(5) === 0) await holder.client.query('select pg_sleep(0.12)'); // longer than its lease
      if (roll(5) === 0) await holder.client.query('select sealcast_internal.release_shards($1)', [name]);
      await nextTurn();
    }
  };
  const holders = [serve('left', 7), serve('right', 8)];
  await Promise.all(Array.from({ length: 4 }, (_, i) => write(streams, 200 + i, 20)));
  writing = false;
  await Promise.all(holders);
  // The rows of the two connections are not in a common order, so they are sorted by offset.
  relayed.sort((a, b) => Number(a.offset) - Number(b.offset));
  await checkRelayed(relayed, streams);
  const { rows } = await client.query('select shard, batch, count(*) from sealcast_internal.relay_log group by 1, 2 having count(*) > 1');
  assert.deepEqual(rows, []);
});

const held = (holder) => holder.mine.map(({ shard }) => shard);
const allShards = [0, 1, 2, 3];
const free = () => client.query("update sealcast_internal.relay_leases set lease_until = '-infinity'");

test('a shard with an uncommitted claim is not given to another holder, and is free after a rollback', async () => {
  await free();
  const [first, second] = [new Holder(await database.connect(), 'first'), new Holder(await database.connect(), 'second')];
  for (const [end, heldBySecond] of [['rollback', allShards], ['commit', []]]) {
    await first.client.query('begin');
    await first.claim(600_000);
    assert.deepEqual(held(first), allShards);
    assert.equal(await second.claim(600_000), 0, 'the other claim does not wait');
    await first.client.query(end);
    await second.claim(600_000);
    assert.deepEqual(held(second), heldBySecond, end);
    await second.client.query('select sealcast_internal.release_shards($1)', [second.name]);
  }
});

for (const level of ['repeatable read', 'serializable']) {
  test(`a ${level} claim by an old snapshot takes no shard from a later holder`, async () => {
    await free();
    const [stale, current] = [new Holder(await database.connect(), 'stale'), new Holder(await database.connect(), 'current')];
    await stale.client.query(`begin isolation level ${level}`);
    await stale.client.query('select from sealcast_internal.relay_leases'); // the snapshot in which the shards are free
    await current.claim(600_000);
    assert.deepEqual(held(current), allShards);
    await assert.rejects(stale.claim(600_000), { code: '40001' });
    await stale.client.query('rollback');
    assert.equal(await stale.claim(600_000), 0);
  });

  test(`a ${level} drain by an old snapshot relays nothing after the shards were taken over`, async () => {
    const [stream] = await makeStreams(client, 1);
    await free();
    const [late, successor] = [new Holder(await database.connect(), 'late'), new Holder(await database.connect(), 'successor')];
    await late.claim(100);
    await late.client.query(`begin isolation level ${level}`);
    await late.client.query('select from sealcast_internal.relay_leases'); // the snapshot in which the shards are its own
    await admit(client, [{ stream, sender: randomUUID(), d: { n: 1 } }]);
    await until('the lease has expired', async () => (await successor.claim(600_000)) === 4);
    const relayed = await successor.drain(10);
    const drained = await late.drain(10).catch((error) => error.code);
    assert.ok(drained === null || drained === '40001', JSON.stringify(drained));
    await late.client.query('rollback');
    await checkRelayed(relayed, [stream]);
  });
}

for (const end of ['commit', 'rollback']) {
  test(`a shard whose lease expires during a drain is not taken over before the drain's ${end}`, async () => {
    const [stream] = await makeStreams(client, 1);
    await free();
    const [slow, successor] = [new Holder(await database.connect(), 'slow'), new Holder(await database.connect(), 'successor')];
    await slow.claim(100);
    await admit(client, [{ stream, sender: randomUUID(), d: { n: 1 } }]);
    await slow.client.query('begin');
    const relayed = await slow.drain(10);
    assert.deepEqual(relayed.map((row) => Number(row.offset)), [1]);
    await until('the lease has expired', async () => (await one("select bool_and(lease_until < clock_timestamp()) as out from sealcast_internal.relay_leases")).out);
    await successor.claim(600_000);
    const { shard } = await one('select sealcast_internal.shard_of($1) as shard', [stream]);
    assert.ok(!held(successor).includes(shard), 'the shard is locked');
    await slow.client.query(end);
    await successor.claim(600_000);
    assert.deepEqual(held(successor), allShards);
    await admit(client, [{ stream, sender: randomUUID(), d: { n: 2 } }]);
    const later = await successor.drain(10);
    await checkRelayed(end === 'commit' ? [...relayed, ...later] : later, [stream]);
    assert.equal(await slow.drain(10), null, 'the old holder drains nothing any more');
  });
}

test('the same txn_id from 20 writers makes one message and 19 replays', { timeout: 60_000 }, async () => {
  const [stream] = await makeStreams(client, 1);
  const item = { stream, sender: randomUUID(), txn: randomUUID(), d: { n: 1 } };
  const writers = await Promise.all(Array.from({ length: 20 }, () => database.connect()));
  const verdicts = await Promise.all(
    writers.map(async (writer) => {
      for (;;) {
        const [verdict] = await admit(writer, [item]);
        if (verdict.status !== 503) return verdict;
        assert.equal(verdict.code, 'txn_in_progress');
      }
    }),
  );
  assert.deepEqual(new Set(verdicts.map((verdict) => verdict.status)), new Set([200]));
  assert.equal(verdicts.filter((verdict) => verdict.replayed).length, 19);
  assert.equal(new Set(verdicts.map((verdict) => verdict.envelope)).size, 1, 'all writers get the same envelope');
  assert.equal(await count('sealcast.messages', [stream]), 1);
  assert.equal(await count('sealcast_internal.outbox', [stream]), 1);
});

test('a batch with a txn_id that an open transaction holds gets 503 soon, and nothing of it is inserted', async () => {
  const holder = await database.connect();
  const [stream] = await makeStreams(client, 1);
  const held = { stream, sender: randomUUID(), txn: randomUUID(), d: { n: 1 } };
  const free = { stream, sender: randomUUID(), txn: randomUUID(), d: { n: 1 } };
  await holder.query('begin');
  assert.equal((await admit(holder, [held]))[0].status, 200);
  const began = performance.now();
  const verdicts = await admit(client, [free, held, { ...free, t: 'no_such' }]);
  const took = performance.now() - began;
  assert.deepEqual(verdicts.map((v) => [v.item, v.status, v.code, v.envelope]), [1, 2, 3].map((i) => [i, 503, 'txn_in_progress', null]));
  assert(verdicts.every((v) => Number(v.retry_after_ms) > 0));
  assert(took > 90 && took < 1000, `after ${took} ms`);
  assert.equal(await count('sealcast.messages', [stream]), 0);
  assert.equal((await one('select count(*) from sealcast.txn_keys where sender_id = $1', [free.sender])).count, '0');
  assert.deepEqual((await admit(client, [free])).map((v) => [v.status, v.replayed]), [[200, false]], 'without the held item the other one is admitted');
  await holder.query('rollback');
  assert.deepEqual((await admit(client, [held])).map((v) => [v.status, v.replayed]), [[200, false]], 'after the rollback the held one is admitted');
});

test('hooked messages whose txn_ids an open transaction holds get 503 soon, and the others of the batch are admitted', async () => {
  await client.query(`create function admit_all(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql
                      return null::sealcast.refusal`);
  await client.query("insert into sealcast.message_types (t, admit_hook) values ('hooked', 'admit_all'::regproc)");
  const holder = await database.connect();
  const [stream] = await makeStreams(client, 1);
  const held = Array.from({ length: 20 }, () => ({ stream, t: 'hooked', sender: randomUUID(), txn: randomUUID(), d: { n: 1 } }));
  const free = { ...held[0], txn: randomUUID() };
  await holder.query('begin');
  assert((await admit(holder, held)).every(({ status }) => status === 200));
  const began = performance.now();
  const codes = (await admit(client, [...held, free])).map(({ status, code }) => code ?? status);
  assert(performance.now() - began < 1000, 'the batch waits once, not once per message');
  assert.deepEqual(codes, [...held.map(() => 'txn_in_progress'), 200]);
  await holder.query('rollback');
  assert((await admit(client, held)).every(({ status, replayed }) => status === 200 && !replayed), 'after the rollback');
});

test('under REPEATABLE READ and SERIALIZABLE admit() raises 40001', async () => {
  for (const level of ['repeatable read', 'serializable']) {
    const [stream] = await makeStreams(client, 1);
    const item = { stream, sender: randomUUID(), txn: randomUUID(), d: { n: 1 } };
    const other = await database.connect();
    await other.query(`begin isolation level ${level}`);
    await other.query('select 1 from sealcast.streams');
    assert.equal((await admit(client, [item]))[0].status, 200);
    await assert.rejects(admit(other, [item]), { code: '40001' }, level);
    await other.query('rollback');
    const [again] = await admit(other, [item]);
    assert(again.status === 200 && again.replayed, 'the retry gets the original');
  }
});

test('an admit hook that waits for a lock fails its own message only', async () => {
  const [stream] = await makeStreams(client, 1);
  const [blocker, sender] = [await database.connect(), randomUUID()];
  await client.query(`create table wallet (coins int); insert into wallet values (1);
    create function take_coin(uuid, uuid, text, uuid, json) returns sealcast.refusal language plpgsql as
      $$ begin update public.wallet set coins = coins; return null; end $$;
    insert into sealcast.message_types (t, admit_hook) values ('coin', 'public.take_coin(uuid,uuid,text,uuid,json)')`);
  const items = ['chat', 'coin', 'chat'].map((t) => ({ stream, sender, t, txn: randomUUID(), d: {} }));
  const codes = async () => (await admit(client, items)).map(({ status, code }) => code ?? status);
  await blocker.query('begin; select from wallet for update');
  assert.deepEqual(await codes(), [200, 'txn_in_progress', 200]);
  await blocker.query('rollback');
  assert.deepEqual(await codes(), [200, 200, 200], 'the same batch again');
});

test('maintenance does not wait for locked tables, but postpones their part', async () => {
  const [blocker, maintainer] = [await database.connect(), await database.connect()];
  const [maintain, rotate] = ['select action from sealcast.maintain()', "select 'postponed' as action from sealcast_internal.rotate_outbox(0)"];
  // Autovacuum locks a table that it truncates. All message types were added before.
  for (const [table, maintenance, expected = ['postponed']] of [
    ['sealcast_internal.relay_log', maintain], ['sealcast.txn_keys', maintain], ['sealcast.message_types', maintain, []],
    ...[0, 1, 2].map((segment) => [`sealcast_internal.outbox_${segment}`, rotate])]) {
    await blocker.query('begin');
    await blocker.query(`lock table ${table} in access exclusive mode`);
    try {
      const actions = (await maintainer.query(maintenance)).rows.map(({ action }) => action);
      assert.deepEqual([...new Set(actions)], expected, table);
    } finally {
      await blocker.query('rollback');
    }
  }
});
