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
const happened = await underLoad(schedule(seed, seconds * 1000, menu.filter(({ group }) => !system.unable.has(group))));
const history = await aftermath();
const broken = [...system.broken, ...readers.problems, ...unexcused(), ...check(history, verifies)];
report();
readers.close();
await system.close();
process.exit(broken.length > 0 ? 1 : 0);

// Strikes by the schedule while the clients send; returns what happened when.
async function underLoad(events) {
  const began = performance.now();
  const now = () => Math.round(performance.now() - began);
  const log = [];
  const note = (what) => {
    log.push({ at: now(), clock: Date.now(), what });
    say(`${(now() / 1000).toFixed(1).padStart(7)} s  ${what}`);
  };
  await clients.start();
  const last = new Map(); // of what strikes the same: one after the other, as mending may take its time
  for (const event of events) {
    await pause(Math.max(0, event.at - now()));
    const { fault, on, lasts } = event;
    const struck = Promise.resolve(last.get(on)).then(async () => {
      const mend = await system.strike(event);
      note(`${fault} ${on}, ${lasts} ms`);
      await pause(lasts);
      await mend();
      note(`${on} is mended`);
    });
    last.set(on, struck);
    struck.catch(() => {}); // Promise.all below has it
  }
  await pause(Math.max(0, seconds * 1000 - now()));
  await Promise.all(last.values());
  await system.ready();
  await clients.stop();
  return log;
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
    attempts: clients.attempts,
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

// Only a broker that was killed may have lost what it had taken.
function unexcused() {
  if (readers.repaired === 0 || happened.some(({ what }) => what.startsWith('kill mosquitto'))) return [];
  return [{ promise: 'a broker that lives gets everything', what: `${readers.repaired} frames were only in the history` }];
}

function report() {
  const statuses = {};
  for (const { status, code } of history.attempts) {
    const name = `${status || 'no answer'} ${code ?? ''}`.trim();
    statuses[name] = (statuses[name] ?? 0) + 1;
  }
  const delivered = Object.values(history.deliveries).flatMap((streams) => Object.values(streams)).reduce((sum, frames) => sum + frames.length, 0);
  say(`${history.attempts.length} answers: ${Object.entries(statuses).map(([name, count]) => `${name}: ${count}`).join(', ')}`);
  say(`${history.stored.length} messages stored, ${delivered} frames received; ${readers.repaired} of MQTT's from the history, after the broker was killed`);
  if (broken.length === 0) return say(`No promise is broken (seed ${seed})`);
  mkdirSync(results, { recursive: true });
  const lines = (name, entries) => writeFileSync(`${results}/${name}.jsonl`, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  lines('broken', broken);
  lines('faults', happened);
  for (const [name, entries] of Object.entries({ ...history, deliveries: [history.deliveries] })) lines(name, entries);
  for (const { promise, what, txnId } of broken.slice(0, 20)) {
    say(`BROKEN: ${promise}: ${what}`);
    for (const attempt of txnId ? history.attempts.filter((one) => one.txnId === txnId) : []) say(`    ${JSON.stringify(attempt)}`);
  }
  say(`${broken.length} times a promise is broken. The whole history is in build/chaos/${seed}/; the faults were those above.`);
  say(`Again: SEED=${seed} SECONDS_OF_LOAD=${seconds} make chaos`);
}
