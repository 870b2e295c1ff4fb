// A point-in-time recovery, or a snapshot of the disk, while the sidecars live on. The messages after the point are lost: they have no effect, although
// Redis still has them. Every reader and every transport gets the messages of the new history.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createClient } from '../../client/index.js';
import { Reader } from '../client/reader.mjs';
import { write } from '../client/stream.mjs';
import { Broker } from './broker.mjs';
import { message, request, send } from './http.mjs';
import { RedisTarget } from './redis_target.mjs';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

let plane, stack, broker, rooms, backup;
before(async () => {
  plane = await EventPlane.create(
    // The tests count entries of Redis, so that none may be trimmed meanwhile.
    (redis) => ({ SEALCAST_MQTT_URL: broker.url, SEALCAST_REDIS_STREAMS_URL: redis.url, SEALCAST_REDIS_EVENTS_TRIM_MS: '3600000' }),
    async (on) => {
      broker = await Broker.start(on);
      return RedisTarget.start(on);
    },
  );
  stack = plane.stack;
  rooms = [await stack.stream(), await stack.stream()];
  await broker.read(rooms);
  backup = await stack.backUp();
});
after(() => {
  broker?.subscriber?.kill();
  return plane?.close();
});

const contents = (frames) => frames.map(({ envelope }) => envelope.d.content);
const many = (label, count) => Array.from({ length: count }, (_, i) => `${label} ${i + 1}`);
const relayed = (room, offset) => until(`offset ${offset}`, async () => (await request(`${plane.sidecar.url}/streams/${room}/messages?limit=1`)).json.last === offset, 30_000);
const effects = async () => (await stack.query('select count(*)::int as n from shop.tally'))[0].n;

test('after a point-in-time recovery, lost messages have no effects, and every reader and transport gets the new ones', { timeout: 180_000 }, async () => {
  const room = rooms[0];
  const reader = new Reader(createClient({ url: plane.sidecar.url }), room, { from: 0 });
  const worker = await plane.worker();
  await write(stack, room, 10, 'kept');
  await relayed(room, 10);
  await plane.untilApplied();
  // These messages are kept, and their effects are lost: Redis has their acknowledgements.
  await worker.stop();
  plane.workers.length = 0;
  await write(stack, room, 10, 'unapplied');
  await relayed(room, 20);
  await stack.query("select pg_create_restore_point('before')");
  const second = await plane.worker();
  await plane.untilApplied();
  await second.stop();
  plane.workers.length = 0;
  await write(stack, room, 5, 'lost');
  const [sender, again] = [stack.user(), message(room, 'sent again')];
  assert.equal((await send(plane.sidecar.url, sender, again)).status, 200);
  await relayed(room, 26);
  await reader.reached(26);
  await until('MQTT has everything', () => broker.frames.get(room).length === 26);
  await until('Redis has the events', async () => ((await plane.redis.events(4)).get(room) ?? []).length === 26);
  const old = await stack.logEpoch();

  await stack.recover(backup, 'before');
  assert.equal(await effects(), 10);
  const third = await plane.worker();
  await until('the sidecar has the new log', async () => (await stack.logEpoch()) !== old);
  const answer = await until('the sidecar sends again', async () => {
    const attempt = await send(plane.sidecar.url, sender, again);
    return attempt.status === 200 && attempt;
  });
  assert.equal(answer.headers['idempotency-replayed'], undefined, 'the gate knows the txn_id, and Postgres does not');
  await relayed(room, 21);
  await write(stack, room, 4, 'new');
  await relayed(room, 25);
  const everything = [...many('kept', 10), ...many('unapplied', 10), 'sent again', ...many('new', 4)];
  await reader.until('the reader has the new log', () => contents(reader.frames).slice(-25).join() === everything.join());
  const hasNew = (frames) => many('new', 4).every((content) => contents(frames).includes(content));
  await until('MQTT has the new messages', () => hasNew(broker.frames.get(room)));
  await until('Redis has the new messages', async () => hasNew(await plane.redis.frames(room)));
  await plane.untilApplied();
  await until('the lost events are finished', async () => {
    const groups = await Promise.all([0, 1, 2, 3].map((n) => plane.redis.command('xinfo', 'groups', `sealcast:events:${n}`)));
    return groups.every(([group]) => group.pending === 0 && group.lag === 0);
  });
  assert.equal(await effects(), 25);
  await plane.balances();
  const problems = async () => (await stack.query('select reason, count(*)::int as n from sealcast.event_dead_letters group by reason'));
  assert.deepEqual(await problems(), [{ reason: 'signed, but not a stored message', n: 6 }]);
  await stack.query('select sealcast.drop_event_dead_letters(forged => true)');
  assert.deepEqual(await problems(), []);
  await until('every transport has delivered everything', async () => (await stack.query('select from sealcast.delivery_status where owed = 0')).length === 4);
  const [{ history }] = await stack.query('select history from sealcast_internal.current_log');
  const [{ segment }] = await stack.query('select pg_walfile_name(pg_current_wal_insert_lsn()) as segment');
  assert.equal(history.split('/')[1], segment.slice(0, 8));
  assert(third.log.some((line) => line.includes('signed, but not a stored message')));
});

// The timeline stays the same, so only the sidecar that lives on can notice.
test('after the disk was set back to a snapshot, every reader and transport gets the new messages', { timeout: 180_000 }, async () => {
  const room = rooms[1];
  const reader = new Reader(createClient({ url: plane.sidecar.url }), room, { from: 0 });
  await plane.worker();
  await write(stack, room, 5, 'kept');
  await relayed(room, 5);
  const snapshot = await stack.snapshot();
  for (const offset of [8, 11]) {
    await write(stack, room, 3, 'lost');
    await relayed(room, offset);
  }
  await reader.reached(11);
  await until('MQTT has everything', () => broker.frames.get(room).length >= 11);
  await plane.untilApplied();
  const old = await stack.logEpoch();

  await stack.setBack(snapshot);
  for (const [i, offset] of [8, 11, 14].entries()) {
    await write(stack, room, 3, `new${i}`);
    await relayed(room, offset);
  }
  const fresh = [0, 1, 2].flatMap((i) => many(`new${i}`, 3));
  await reader.until('the reader has the new log', () => contents(reader.frames).slice(-14).join() === [...many('kept', 5), ...fresh].join());
  await until('MQTT has the new messages', () => fresh.every((content) => contents(broker.frames.get(room)).includes(content)));
  await plane.untilApplied();
  await plane.balances();
  assert.notEqual(await stack.logEpoch(), old);
});
