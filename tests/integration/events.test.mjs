// The event partitions in a real Redis: every committed message is in one, in order for each sender, and stays there until every
// consumer group has finished it.
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
  await until('the transport has begun', async () => (await unsettled()) !== undefined);
});
after(async () => {
  await sidecar?.stop();
  await stack?.close();
});

const unsettled = async () =>
  (await stack.query("select owed from sealcast.delivery_status where transport = 'redis_events'"))[0]?.owed;

const lengths = () => Promise.all(keys.map(async (key) => Number(await target.command('xlen', key))));
const total = async () => (await lengths()).reduce((sum, length) => sum + length, 0);

// Parses entries of a partition as XRANGE and XREADGROUP return them.
const parse = (partition, entries) =>
  entries.map(([id, values]) => {
    const fields = fieldsOf(values);
    const frame = JSON.parse(fields.frame);
    assert.deepEqual([fields.stream_id, fields.offset], [frame.envelope.stream_id, `${frame.offset}`]);
    return { id, partition, frame };
  });

async function entries() {
  const all = [];
  for (const [n, key] of keys.entries()) all.push(...parse(n, await target.command('xrange', key, '-', '+')));
  return all;
}

// Writes `count` messages of each user into the stream, interleaved, with one statement, so that the relay drains them together.
async function write(room, users, count) {
  const senders = Array.from({ length: count }, () => users.map(({ id }) => id)).flat();
  await stack.query(
    `select from sealcast.admit(array_fill($1::uuid, array[$3::int]), array_fill('chat'::text, array[$3::int]), $2::uuid[],
       array(select gen_random_uuid() from generate_series(1, $3::int)), array_fill('{"content":"e"}'::text, array[$3::int]))`,
    [room, senders, senders.length],
  );
}

test('each message is in the partition of its sender, in the order of its stream', async () => {
  const rooms = [await stack.stream(), await stack.stream()];
  const users = Array.from({ length: 20 }, () => stack.user());
  const single = await send(sidecar.url, users[0], message(rooms[0], 'by HTTP'));
  assert.equal(single.status, 200);
  for (let round = 0; round < 10; round++) for (const room of rooms) await write(room, users, 5);
  await until('the partitions have all messages', async () => (await total()) >= 2001);
  const all = await entries();
  const ids = new Set(all.map(({ frame }) => frame.envelope.txn_id));
  const stored = (await Promise.all(rooms.map((room) => stack.stored(room)))).flat();
  assert.deepEqual([...ids].sort(), stored.sort());
  const partitionOf = new Map();
  const last = new Map();
  for (const { partition, frame } of all) {
    const { s, stream_id } = frame.envelope;
    assert.equal(partitionOf.get(s) ?? partition, partition, 'all messages of a sender are in one partition');
    partitionOf.set(s, partition);
    assert.ok(frame.offset > (last.get(s + stream_id) ?? 0), 'offsets ascend');
    last.set(s + stream_id, frame.offset);
  }
  assert.ok((await lengths()).filter((length) => length > 0).length > 1, 'several partitions have messages');
});

test('an entry stays until every consumer group has finished it, and is trimmed then', async () => {
  for (const key of keys) {
    for (const group of ['ledger', 'search']) await target.command('xgroup', 'create', key, group, '$', 'mkstream');
  }
  const room = await stack.stream();
  await write(room, Array.from({ length: 40 }, () => stack.user()), 100);
  const mine = ({ frame }) => frame.envelope.stream_id === room;
  await until('the partitions have all messages', async () => (await entries()).filter(mine).length === 4000);

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
  await until('the older entries are trimmed', async () => (await total()) <= 4000 + PARTITIONS * 100);
  const there = new Set((await entries()).map(({ id, partition }) => `${partition} ${id}`));
  for (const { id, partition } of search) assert.ok(there.has(`${partition} ${id}`), 'an entry that search has not finished is still there');

  await finish('search');
  // Redis trims whole nodes of 100 entries.
  await until('the other entries are trimmed', async () => (await total()) <= PARTITIONS * 100);
});

test('after Redis was down no message is missing, and the order of a sender is kept', async () => {
  const [room, user] = [await stack.stream(), stack.user()];
  await write(room, [user], 100);
  await target.stop();
  await write(room, [user], 100);
  await target.start();
  await write(room, [user], 100);
  const offsets = async () =>
    (await entries()).filter(({ frame }) => frame.envelope.stream_id === room).map(({ frame }) => frame.offset);
  await until('all messages have arrived', async () => new Set(await offsets()).size === 300, 60_000);
  const seen = new Set();
  for (const offset of await offsets()) {
    assert.ok(seen.has(offset) || offset === seen.size + 1, `offset ${offset} came first after ${seen.size} others`);
    seen.add(offset);
  }
});
