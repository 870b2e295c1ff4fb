// Faults under load, by the schedule of a seed, and what a checker finds of broken promises afterwards. tests/chaos.sh runs
// it; SEED and SECONDS_OF_LOAD are in the environment.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { checkEnvelope } from '../integration/envelope.mjs';
import { until } from '../integration/waiting.mjs';
import { check } from './checker.mjs';
import { Clients } from './clients.mjs';
import { Readers } from './readers.mjs';
import { menu, schedule } from './schedule.mjs';
import { Strikes } from './strikes.mjs';
import { System } from './system.mjs';

const ROOMS = 4;
const seed = Number(process.env.SEED);
const seconds = Number(process.env.SECONDS_OF_LOAD);
const results = fileURLToPath(new URL(`../../build/chaos/${seed}`, import.meta.url));
const say = (...words) => console.log(...words);

say(`Seed ${seed}, ${seconds} s of load. Again: SEED=${seed} SECONDS_OF_LOAD=${seconds} make chaos`);
const system = await System.start(ROOMS);
for (const [group, why] of system.unable) say(`Left out: ${group}: ${why}`);
const readers = new Readers(system);
const clients = new Clients(system, seed);
const strikes = new Strikes(system, say);
const events = schedule(seed, seconds * 1000, menu.filter(({ group }) => !system.unable.has(group)));
const history = {
  run: { seconds, scheduled: events.length, urls: system.urls },
  attempts: clients.attempts,
  faults: strikes.faults,
  stored: [],
  logged: [],
  deliveries: {},
  repaired: readers.repaired,
};
const found = [];
try {
  await underLoad();
  Object.assign(history, await aftermath());
  found.push(...check(history, verifies));
} catch (error) {
  found.push({ promise: 'the system mends', what: error.stack }); // what there is of the history is kept
}
const broken = [...system.broken, ...strikes.problems, ...readers.problems, ...found];
report();
readers.close();
await system.close();
process.exit(broken.length > 0 ? 1 : 0);

// Strikes by the schedule while the clients send.
async function underLoad() {
  await clients.start();
  await Promise.all([strikes.run(events), pause(seconds * 1000)]);
  await system.ready();
  await clients.stop();
}

// Waits until everything that is owed has arrived, or will not; then gathers what the checker compares.
async function aftermath() {
  const { stack } = system;
  await clients.settle();
  const arrived = async () => {
    const rows = await stack.query('select stream_id, max("offset") as newest, count(*) as logged from sealcast.stream_log group by 1');
    const stored = await stack.query('select count(*) from sealcast.messages');
    if (rows.reduce((sum, { logged }) => sum + Number(logged), 0) < Number(stored[0].count)) return false;
    return readers.have(Object.fromEntries(rows.map(({ stream_id, newest }) => [stream_id, Number(newest)])));
  };
  // A reader whose broker forgot the end of a stream sees that when something follows.
  for (let round = 0; round < 15; round++) {
    await clients.toAll();
    if (await until('everything arrives', arrived, 4000).catch(() => false)) break;
  }
  const stored = await stack.query('select sender_id, txn_id, stream_id, sealcast.envelope(m) as text from sealcast.messages m');
  const logged = await stack.query(`select l.stream_id, l."offset", m.sender_id, m.txn_id
    from sealcast.stream_log l left join sealcast.messages m using (ts, message_id)`);
  return {
    stored: stored.map((row) => ({ sender: row.sender_id, txnId: row.txn_id, streamId: row.stream_id, text: row.text })),
    logged: logged.map((row) => ({ streamId: row.stream_id, offset: Number(row.offset), sender: row.sender_id, txnId: row.txn_id })),
    deliveries: await readers.deliveries(),
  };
}

function verifies(text) {
  try {
    checkEnvelope(text, system.stack.keyring);
    return true;
  } catch {
    return false;
  }
}

function report() {
  const statuses = {};
  for (const { status, code } of history.attempts) {
    const name = `${status || 'no answer'} ${code ?? ''}`.trim();
    statuses[name] = (statuses[name] ?? 0) + 1;
  }
  const frames = Object.values(history.deliveries).flatMap((streams) => Object.values(streams)).flat();
  say(`${history.attempts.length} answers: ${Object.entries(statuses).map(([name, count]) => `${name}: ${count}`).join(', ')}`);
  say(`${history.stored.length} messages stored, ${frames.length} frames received; ${history.repaired.length} of MQTT's from the history, after the broker was killed`);
  if (broken.length === 0) return say(`No promise is broken (seed ${seed})`);
  mkdirSync(results, { recursive: true });
  const lines = (name, entries) => writeFileSync(`${results}/${name}`, entries.map((entry) => `${entry}\n`).join(''));
  for (const [name, entries] of Object.entries({ broken, ...history, deliveries: [history.deliveries], run: [history.run] })) {
    lines(`${name}.jsonl`, entries.map((entry) => JSON.stringify(entry)));
  }
  for (const [name, sidecar] of system.sidecars) lines(`sidecar-${name}.log`, sidecar.log);
  for (const { promise, what, txnId } of broken.slice(0, 20)) {
    say(`BROKEN: ${promise}: ${what}`);
    for (const attempt of txnId ? history.attempts.filter((one) => one.txnId === txnId) : []) say(`    ${JSON.stringify(attempt)}`);
  }
  say(`${broken.length} times a promise is broken. The history is in build/chaos/${seed}/; the faults were those above.`);
  say(`Again: SEED=${seed} SECONDS_OF_LOAD=${seconds} make chaos`);
}
