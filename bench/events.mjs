// Measures events per second through one handler in four ways, in alternating rounds: one and three workers of
// sealcastd; three pollers with LISTEN that take batches from a queue table; one loop that takes row by row. Each way
// writes the effect and its row in one transaction. Then one worker applies the three handlers of sealcast_economy.
// Before the clock starts, EVENTS messages are committed and are in Redis or in the queue.
import { readFileSync } from 'node:fs';
import { EventPlane } from '../tests/integration/tally.mjs';
import { until } from '../tests/integration/waiting.mjs';

const EVENTS = Number(process.env.EVENTS ?? 200_000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const BATCH = 100;
const WORKERS = 3;
const LIMIT = 600_000;

let memory = 0; // MiB, of the largest worker

const plane = await EventPlane.create({ SEALCAST_REDIS_EVENTS_PARTITIONS: '16' });
const { stack } = plane;

async function fill() {
  const rooms = await Promise.all(Array.from({ length: 8 }, () => stack.stream()));
  const people = Array.from({ length: 100 }, () => stack.user());
  for (let sent = 0; sent < EVENTS; sent += 1000) {
    await plane.say(rooms[(sent / 1000) % rooms.length], people, Array.from({ length: 10 }, (_, i) => `message ${sent + i}`));
  }
  await until('all events are in Redis', async () => {
    const [{ owed }] = await stack.query("select owed from sealcast.delivery_status where transport = 'redis_events'");
    return owed === '0';
  }, LIMIT);
}

async function reset() {
  await stack.query('truncate shop.tally, sealcast.event_effects');
  await stack.query('vacuum analyze sealcast.event_effects');
}

// `prepare` fills the queue that `run` empties. Returns events per second.
async function timed(prepare, run, check = () => plane.balances()) {
  await reset();
  await prepare();
  const began = performance.now();
  await run();
  const seconds = (performance.now() - began) / 1000;
  await check();
  return EVENTS / seconds;
}

const applied = async () => Number((await stack.query('select count(*) as n from sealcast.event_effects'))[0].n);

// The events stay in Redis, so later rounds publish them again.
let published = true;
async function publish() {
  if (!published) await stack.replay(['--from', '2000-01-01', '--rate', '0'], plane.settings);
  published = false;
}

// `effects` is the number of handlers that each event has.
async function byWorkers(count, effects = 1) {
  const workers = await Promise.all(Array.from({ length: count }, () => plane.worker()));
  await until('all events have their effects', async () => (await applied()) === effects * EVENTS, LIMIT);
  const peaks = workers.map(({ process }) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))[1]) / 1024);
  memory = Math.max(memory, ...peaks);
  return Promise.all(workers.map((worker) => worker.stop()));
}

// The events are of the type chat, so two of the three handlers want them.
async function installEconomy() {
  await stack.query("select sealcast.unregister_handler('tally')");
  await stack.query('create extension sealcast_economy');
  await stack.query('select sealcast_economy.register()');
}

async function auditEconomy() {
  const differences = await stack.query('select * from sealcast_economy.audit()');
  if (differences.length > 0) throw new Error(`the audit found ${JSON.stringify(differences[0])}`);
  await stack.query('truncate sealcast_economy.xp, sealcast_economy.xp_days, sealcast_economy.chatters, sealcast_economy.stream_minutes');
}

// The simple alternative: a queue table that a trigger would fill, emptied in order.
async function fillQueue() {
  await stack.query('create table if not exists shop.queue (id bigint generated always as identity primary key, event sealcast.event)');
  await stack.query('truncate shop.queue');
  await stack.query(`insert into shop.queue (event)
    select row(m.t, m.stream_id, m.sender_id, m.txn_id, m.ts, l."offset", m.d, sealcast.envelope(m))::sealcast.event
    from sealcast.messages m join sealcast.stream_log l using (stream_id, message_id) where m.t = 'chat' order by l.logged_at, l."offset"`);
  await stack.query('analyze shop.queue');
}

const apply = `with effect as (
    insert into sealcast.event_effects (handler, sender_id, txn_id, ts) select 'tally', ($1::sealcast.event).sender_id, ($1).txn_id, ($1).ts
    on conflict do nothing returning true)
  select shop.count($1) from effect`;

// Returns how many events were taken.
async function takeBatch(client, batch) {
  await client.query('begin');
  const { rows } = await client.query({
    name: 'take',
    text: 'delete from shop.queue where id in (select id from shop.queue order by id limit $1 for update skip locked) returning id, event::text',
    values: [batch],
  });
  rows.sort((a, b) => a.id - b.id);
  for (const { event } of rows) await client.query({ name: 'apply', text: apply, values: [event] });
  await client.query('commit');
  return rows.length;
}

// Pollers whose batches have the same users in another order run into deadlocks, and try again.
async function emptyQueue(client, batch) {
  for (let taken = 1; taken > 0;) {
    try {
      taken = await takeBatch(client, batch);
    } catch (error) {
      if (error.code !== '40P01') throw error;
      await client.query('rollback');
    }
  }
}

async function byPollers() {
  await Promise.all(Array.from({ length: WORKERS }, async () => {
    const client = await stack.connect();
    try {
      await client.query('listen shop');
      await emptyQueue(client, BATCH);
    } finally {
      await client.end();
    }
  }));
}

async function rowByRow() {
  const client = await stack.connect();
  try {
    await emptyQueue(client, 1);
  } finally {
    await client.end();
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

try {
  await fill();
  const results = { '1 worker': [], [`${WORKERS} workers`]: [], [`${WORKERS} pollers with LISTEN`]: [], 'row by row': [], '1 worker, economy': [] };
  const [worker, workers, pollers, rows, economy] = Object.values(results);
  for (let round = 0; round < ROUNDS; round++) {
    worker.push(await timed(publish, () => byWorkers(1)));
    workers.push(await timed(publish, () => byWorkers(WORKERS)));
    // Several pollers take batches at the same time, so they do not keep the order of events.
    pollers.push(await timed(fillQueue, byPollers, () => plane.balances({ inOrder: false })));
    rows.push(await timed(fillQueue, rowByRow));
  }
  await installEconomy();
  for (let round = 0; round < ROUNDS; round++) economy.push(await timed(publish, () => byWorkers(1, 2), auditEconomy));
  console.log(`| ${EVENTS} events, ${ROUNDS} rounds | per second | factor over row by row |\n|---|---|---|`);
  for (const [way, rates] of Object.entries(results)) {
    const spread = `${Math.round(median(rates))} [${Math.round(Math.min(...rates))}–${Math.round(Math.max(...rates))}]`;
    console.log(`| ${way} | ${spread} | ${(median(rates) / median(rows)).toFixed(1)} |`);
  }
  console.log(`\nThe largest worker used ${memory.toFixed(0)} MiB.`);
} finally {
  await plane.close();
}
