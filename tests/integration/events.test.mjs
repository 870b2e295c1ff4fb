// The event plane's partitions in a real Redis: everything committed is there, in order for each sender, and stays until
// every consumer group has finished it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { message, send } from './http.mjs';
import { RedisTarget, fieldsOf } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const PARTITIONS = 4;
const keys = Array.from({ length: PARTITIONS }, (_, n) => `sealcast:events:${n}`);

let stack, target, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  target = await RedisTarget.start(stack);
  sidecar = await stack.sidecar({
    SEALCAST_REDIS_EVENTS_URL: target.url,
    SEALCAST_REDIS_EVENTS_PARTITIONS: `${PARTITIONS}`,
    SEALCAST_REDIS_EVENTS_TRIM_MS: '100',
    SEALCAST_REDIS_EVENTS_MAX_AGE_MS: '600000',
  });
  await until('the transport has begun', async () => (await owed()) !== undefined);
});
after(async () => {
  await sidecar?.stop();
  await stack?.close();
});

const owed = async () =>
  (await stack.query("select owed from sealcast.delivery_status where transport = 'redis_events'"))[0]?.owed;

const lengths = () => Promise.all(keys.map(async (key) => Number(await target.command('xlen', key))));
const total = async () => (await lengths()).reduce((sum, length) => sum + length, 0);

// As XRANGE, XREADGROUP and the like give them.
const parse = (partition, entries) =>
  entries.map(([id, words]) => {
    const fields = fieldsOf(words);
    const frame = JSON.parse(fields.frame);
    assert.deepEqual([fields.stream_id, fields.offset], [frame.envelope.stream_id, `${frame.offset}`]);
    return { id, partition, frame };
  });

async function entries() {
  const all = [];
  for (const [n, key] of keys.entries()) all.push(...parse(n, await target.command('xrange', key, '-', '+')));
  return all;
}

// Writes `count` messages of each of the users into the stream, interleaved, in batches that the relay reads as one.
async function write(room, users, count) {
  const senders = Array.from({ length: count }, () => users.map(({ id }) => id)).flat();
  await stack.query(
    `select from sealcast.admit(array_fill($1::uuid, array[$3::int]), array_fill('chat'::text, array[$3::int]), $2::uuid[],
       array(select gen_random_uuid() from generate_series(1, $3::int)), array_fill('{"content":"e"}'::text, array[$3::int]))`,
    [room, senders, senders.length],
  );
}

test('every message is in the partition of its sender, in the order of its stream', async () => {
  const rooms = [await stack.stream(), await stack.stream()];
  const users = Array.from({ length: 20 }, () => stack.user());
  const single = await send(sidecar.url, users[0], message(rooms[0], 'by HTTP'));
  assert.equal(single.status, 200);
  for (let round = 0; round < 10; round++) for (const room of rooms) await write(room, users, 5);
  await until('all are there', async () => (await total()) >= 2001);
  const all = await entries();
  const ids = new Set(all.map(({ frame }) => frame.envelope.txn_id));
  const stored = (await Promise.all(rooms.map((room) => stack.stored(room)))).flat();
  assert.deepEqual([...ids].sort(), stored.sort());
  const partitionOf = new Map();
  const last = new Map();
  for (const { partition, frame } of all) {
    const { s, stream_id } = frame.envelope;
    assert.equal(partitionOf.get(s) ?? partition, partition, 'a sender has one partition');
    partitionOf.set(s, partition);
    assert.ok(frame.offset > (last.get(s + stream_id) ?? 0), 'offsets grow');
    last.set(s + stream_id, frame.offset);
  }
  assert.ok((await lengths()).filter((length) => length > 0).length > 1, 'and senders are spread');
});

test('what a group has not finished stays, and what all have finished goes', async () => {
  for (const key of keys) {
    for (const group of ['ledger', 'search']) await target.command('xgroup', 'create', key, group, '$', 'mkstream');
  }
  const room = await stack.stream();
  await write(room, Array.from({ length: 40 }, () => stack.user()), 100);
  const mine = ({ frame }) => frame.envelope.stream_id === room;
  await until('all are there', async () => (await entries()).filter(mine).length === 4000);

  const read = async (group) => {
    const taken = [];
    for (const [n, key] of keys.entries()) {
      const answer = await target.command('xreadgroup', 'group', group, 'worker', 'count', '5000', 'streams', key, '>');
      if (answer) taken.push(...parse(n, Array.isArray(answer) ? answer[0][1] : answer[key]));
    }
    return taken;
  };
  const finish = (group) =>
    target.command('eval', `for _, key in ipairs(KEYS) do
      for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do redis.call('XACK', key, ARGV[1], entry[1]) end
    end`, `${PARTITIONS}`, ...keys, group);

  const ledger = await read('ledger');
  assert.equal(ledger.filter(mine).length, 4000);
  const search = await read('search');
  await finish('ledger');
  await until('what came before is trimmed', async () => (await total()) <= 4000 + PARTITIONS * 100);
  const there = new Set((await entries()).map(({ id, partition }) => `${partition} ${id}`));
  for (const { id, partition } of search) assert.ok(there.has(`${partition} ${id}`), 'not finished by search');

  await finish('search');
  // Redis trims whole nodes, of 100 entries.
  await until('the rest is trimmed', async () => (await total()) <= PARTITIONS * 100);
});

test('Redis away for a while: nothing is missing after it, and a sender keeps the order', async () => {
  const [room, user] = [await stack.stream(), stack.user()];
  await write(room, [user], 100);
  await target.stop();
  await write(room, [user], 100);
  await target.start();
  await write(room, [user], 100);
  const offsets = async () =>
    (await entries()).filter(({ frame }) => frame.envelope.stream_id === room).map(({ frame }) => frame.offset);
  await until('all have come', async () => new Set(await offsets()).size === 300, 60_000);
  const seen = new Set();
  for (const offset of await offsets()) {
    assert.ok(seen.has(offset) || offset === seen.size + 1, `a first ${offset} after ${seen.size}`);
    seen.add(offset);
  }
});
