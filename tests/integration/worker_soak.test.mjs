// Three workers of whom one is killed every two seconds, Redis killed once and emptied once, Postgres restarted once:
// each of EVENTS messages has its effect once, in order. `make events-soak` runs it with 200,000.
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

const EVENTS = Number(process.env.EVENTS ?? 20_000);
const BATCH = 500;
const AHEAD = 4000; // messages that may wait for their effect, so that each misfortune finds some under way
const LIMIT = 60_000 + EVENTS * 10;

let plane;
before(async () => {
  plane = await EventPlane.create({ SEALCAST_REDIS_EVENTS_PARTITIONS: '16' });
});
after(() => plane?.close());

// Whatever Postgres is doing meanwhile.
async function insist(action) {
  return until('Postgres carries it out', async () => ({ value: await action() }), 120_000).then(({ value }) => value);
}

const applied = () => plane.stack.query("select count(*)::int as n from sealcast.event_effects where handler = 'tally'").then(([{ n }]) => n);

test(`${EVENTS} messages, each with its effect once`, { timeout: LIMIT * 2 }, async (t) => {
  const { stack, redis } = plane;
  const rooms = await Promise.all(Array.from({ length: 8 }, () => stack.stream()));
  const people = Array.from({ length: 100 }, () => stack.user());
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

  const misfortunes = [
    [0.25, 'Redis is killed', async () => { await redis.stop('SIGKILL'); await redis.start(); }],
    [0.5, 'Redis is emptied', () => redis.command('flushall')],
    [0.75, 'Postgres restarts', async () => { await stack.stop('postgres', 'SIGINT'); await stack.startPostgres(); }],
  ];
  const began = Date.now();
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    const keys = Array.from({ length: BATCH }, () => randomUUID());
    const contents = Array.from({ length: BATCH / people.length }, (_, i) => `message ${sent + i}`);
    await insist(() => plane.say(rooms[(sent / BATCH) % rooms.length], people, contents, keys));
    await until('the workers come on', async () => (await applied()) >= sent + BATCH - AHEAD, LIMIT);
    if (misfortunes.length > 0 && sent + BATCH >= misfortunes[0][0] * EVENTS) {
      const [, name, strike] = misfortunes.shift();
      t.diagnostic(`${name} after ${sent + BATCH} messages`);
      await strike();
    }
  }
  await until('all have their effect', async () => (await applied()) === EVENTS, LIMIT);
  const seconds = (Date.now() - began) / 1000;
  stop.abort();
  await killing;
  await plane.settled();
  await plane.balances();
  t.diagnostic(`${EVENTS} events in ${seconds.toFixed(1)} s, ${Math.round(EVENTS / seconds)} a second; ${killed} workers killed`);
  await Promise.all(plane.workers.splice(0).map((worker) => worker.stop()));
});
