// Measures events per second through one handler in three ways, in alternating rounds: three workers of sealcastd;
// three pollers with LISTEN that take batches from a queue table; one loop that takes row by row. Each way writes the
// effect and its row in one transaction. Before the clock starts, EVENTS messages are committed and are in Redis or in
// the queue.
import { EventPlane } from '../tests/integration/tally.mjs';
import { until } from '../tests/integration/waiting.mjs';

const EVENTS = Number(process.env.EVENTS ?? 200_000);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const BATCH = 100;
const WORKERS = 3;
const LIMIT = 600_000;

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
  await stack.query('truncate shop.tally');
  await stack.query('delete from sealcast.event_effects');
  await stack.query('vacuum analyze sealcast.event_effects');
}

// `prepare` fills the queue that `run` empties. Returns events per second.
async function timed(prepare, run, check) {
  await reset();
  await prepare();
  const began = performance.now();
  await run();
  const seconds = (performance.now() - began) / 1000;
  await plane.balances(check);
  return EVENTS / seconds;
}

const applied = async () => Number((await stack.query("select count(*) as n from sealcast.event_effects where handler = 'tally'"))[0].n);

async function byWorkers() {
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => plane.worker()));
  await until('all events have their effect', async () => (await applied()) === EVENTS, LIMIT);
  return Promise.all(workers.map((worker) => worker.stop()));
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

async function emptyQueue(client, batch) {
  for (;;) {
    await client.query('begin');
    const { rows } = await client.query({
      name: 'take',
      text: 'delete from shop.queue where id in (select id from shop.queue order by id limit $1 for update skip locked) returning id, event::text',
      values: [batch],
    });
    rows.sort((a, b) => a.id - b.id);
    for (const { event } of rows) await client.query({ name: 'apply', text: apply, values: [event] });
    await client.query('commit');
    if (rows.length === 0) return;
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
  const results = { [`${WORKERS} workers`]: [], [`${WORKERS} pollers with LISTEN`]: [], 'row by row': [] };
  const [workers, pollers, rows] = Object.values(results);
  for (let round = 0; round < ROUNDS; round++) {
    workers.push(await timed(() => (round > 0 ? stack.replay(['--from', '2000-01-01', '--rate', '0'], plane.settings) : undefined), byWorkers));
    // Several pollers take batches at the same time, so they do not keep the order of events.
    pollers.push(await timed(fillQueue, byPollers, { inOrder: false }));
    rows.push(await timed(fillQueue, rowByRow));
  }
  console.log(`| ${EVENTS} events, ${ROUNDS} rounds | per second | factor over row by row |\n|---|---|---|`);
  for (const [way, rates] of Object.entries(results)) {
    const spread = `${Math.round(median(rates))} [${Math.round(Math.min(...rates))}–${Math.round(Math.max(...rates))}]`;
    console.log(`| ${way} | ${spread} | ${(median(rates) / median(rows)).toFixed(1)} |`);
  }
} finally {
  await plane.close();
}
