// Three workers, of which one is killed every two seconds. Redis is killed once and emptied once, and Postgres is restarted once. Each
// of EVENTS messages has its effect once and in order. The ledger balances of the second extension, its XP and its counts match the
// messages. `make events-soak` runs this with 200,000 events.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { deposit, installEconomy } from './economy.mjs';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

const EVENTS = Number(process.env.EVENTS ?? 20_000);
const BATCH = 500;
const GIFTS = 25; // with each batch
const AHEAD = 4000; // the most messages without an effect so far; some are under way at each failure
const LIMIT = 60_000 + EVENTS * 10;

let plane;
before(async () => {
  plane = await EventPlane.create({ SEALCAST_REDIS_EVENTS_PARTITIONS: '16' });
});
after(() => plane?.close());

// Repeats the action until it succeeds, also while Postgres restarts.
async function retry(action) {
  return until('the action succeeds', async () => ({ value: await action() }), 120_000).then(({ value }) => value);
}

// Admits one gift for each key, each of another user and amount, to the creator. The same keys again have no effect.
async function give(stack, room, people, creator, keys) {
  const rows = await stack.query(
    `select status, code from sealcast.admit(array_fill($1::uuid, array[$5::int]), array_fill('gift'::text, array[$5::int]), $2::uuid[], $3::uuid[],
       array(select json_build_object('amount', n, 'to', $4::uuid)::text from generate_series(1, $5::int) n))`,
    [room, people.slice(0, keys.length).map(({ id }) => id), keys, creator.id, keys.length],
  );
  assert.deepEqual([...new Set(rows.map(({ status, code }) => `${status} ${code}`))], ['200 null']);
}

const applied = () => plane.stack.query("select count(*)::int as n from sealcast.event_effects where handler = 'tally'").then(([{ n }]) => n);

test(`each of ${EVENTS} messages has its effect once`, { timeout: LIMIT * 2 }, async (t) => {
  const { stack, redis } = plane;
  const rooms = await Promise.all(Array.from({ length: 8 }, () => stack.stream()));
  const people = Array.from({ length: 100 }, () => stack.user());
  const creators = rooms.map(() => stack.user());
  await installEconomy(stack);
  for (const { id } of people) await deposit(stack, id, 1_000_000);
  await Promise.all([1, 2, 3].map(() => plane.worker()));

  let killed = 0;
  const stop = new AbortController();
  const killing = (async () => {
    while (!stop.signal.aborted) {
      await pause(2000, null, { signal: stop.signal }).catch(() => {});
      if (stop.signal.aborted) return;
      const [victim] = plane.workers.splice(0, 1);
      victim.process.kill('SIGKILL');
      killed++;
      await plane.worker();
    }
  })();

  const failures = [
    [0.25, 'Redis is killed', async () => { await redis.stop('SIGKILL'); await redis.start(); }],
    [0.5, 'Redis is emptied', () => redis.command('flushall')],
    [0.75, 'Postgres restarts', async () => { await stack.stop('postgres', 'SIGINT'); await stack.startPostgres(); }],
  ];
  const began = Date.now();
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    const keys = Array.from({ length: BATCH }, () => randomUUID());
    const contents = Array.from({ length: BATCH / people.length }, (_, i) => `message ${sent + i}`);
    const at = (sent / BATCH) % rooms.length;
    await retry(() => plane.say(rooms[at], people, contents, keys));
    const gifts = Array.from({ length: GIFTS }, () => randomUUID());
    await retry(() => give(stack, rooms[at], people, creators[at], gifts));
    await until('the workers keep up', async () => (await applied()) >= sent + BATCH - AHEAD, LIMIT);
    if (failures.length > 0 && sent + BATCH >= failures[0][0] * EVENTS) {
      const [, name, fail] = failures.shift();
      t.diagnostic(`${name} after ${sent + BATCH} messages`);
      await fail();
    }
  }
  await until('every message has its effect', async () => (await applied()) === EVENTS, LIMIT);
  const seconds = (Date.now() - began) / 1000;
  stop.abort();
  await killing;
  await plane.untilApplied();
  await plane.balances();
  for (const handler of ['xp', 'gifts', 'aggregates']) {
    await until(`${handler} has handled every message`, async () => JSON.stringify(await plane.problems(handler)) === '{}', LIMIT);
  }
  assert.deepEqual(await stack.query('select * from sealcast_economy.audit()'), [], 'the ledger balances, and XP and counts match the messages');
  const [{ given }] = await stack.query("select count(*)::int as given from sealcast.event_effects where handler = 'gifts'");
  assert.equal(given, (EVENTS / BATCH) * GIFTS);
  t.diagnostic(`${EVENTS} events in ${seconds.toFixed(1)} s, ${Math.round(EVENTS / seconds)} per second; ${killed} workers killed`);
  await Promise.all(plane.workers.splice(0).map((worker) => worker.stop()));
});
