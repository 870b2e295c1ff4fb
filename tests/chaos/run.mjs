// Injects faults under load by the schedule of a seed, and then checks the guarantees. tests/chaos.sh runs it with SEED
// and SECONDS_OF_LOAD in the environment, and perhaps GATE_REDIS and FAULTS.
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { checkEnvelope, checkRedacted } from '../integration/envelope.mjs';
import { until } from '../integration/waiting.mjs';
import { check } from './checker.mjs';
import { Clients } from './clients.mjs';
import { FaultInjector } from './fault_injector.mjs';
import { Readers } from './readers.mjs';
import { isRedacted } from './redactions.mjs';
import { faultsOf, schedule, shapeOf } from './schedule.mjs';
import { System } from './system.mjs';

const ROOMS = 4;
const seed = Number(process.env.SEED);
const seconds = Number(process.env.SECONDS_OF_LOAD);
const results = fileURLToPath(new URL(`../../build/chaos/${seed}`, import.meta.url));
const print = (...words) => console.log(...words);

const shape = process.env.GATE_REDIS || shapeOf(seed);
const only = process.env.FAULTS ?? '';
const faults = faultsOf(shape, only);
const repeat = `To repeat: SEED=${seed} SECONDS_OF_LOAD=${seconds} GATE_REDIS=${shape}${only && ` FAULTS='${only}'`} make chaos`;

print(`Seed ${seed}, ${seconds} s of load, Redis of the gate: ${shape}. ${repeat}`);
const system = await System.start(ROOMS, shape);
for (const [group, reason] of system.impossible) print(`Skipped faults: ${group}: ${reason}`);
const readers = new Readers(system);
const clients = new Clients(system, seed);
const injector = new FaultInjector(system, print);
const events = schedule(seed, seconds * 1000, faults.filter(({ group }) => !system.impossible.has(group)));
const history = {
  run: { seconds, scheduled: events.length, urls: system.urls },
  attempts: clients.attempts,
  reads: clients.reads,
  calls: system.moderators.calls,
  redactions: system.redactors.calls,
  late: system.redactors.late,
  faults: injector.faults,
  stored: [],
  logged: [],
  deliveries: {},
  repaired: readers.repaired,
  effects: [],
  losses: system.postgres.losses,
};
const found = [];
try {
  await underLoad();
  Object.assign(history, await collectHistory());
  found.push(...check(history, verifies));
} catch (error) {
  found.push({ guarantee: 'the system recovers', details: error.stack }); // report() saves the history so far
}
const violations = [...system.violations, ...injector.violations, ...found];
report();
readers.close();
await system.close();
process.exit(violations.length > 0 ? 1 : 0);

// Injects the faults of the schedule while the clients send.
async function underLoad() {
  await clients.start();
  history.run.began = performance.now();
  system.moderators.start();
  system.redactors.start(clients, system.regulars);
  await Promise.all([injector.run(events), pause(seconds * 1000)]);
  history.run.ended = performance.now();
  await system.ready();
  await Promise.all([clients.stop(), system.moderators.stop(), system.redactors.stop()]);
}

// Waits until every reader has received every message, at most 15 rounds. Then collects the data for the checker.
async function collectHistory() {
  const { stack } = system;
  await clients.retryUndecided();
  const arrived = async () => {
    const [{ logged }] = await stack.query('select count(*) = (select count(*) from sealcast.messages) as logged from sealcast.stream_log');
    if (!logged || !(await system.events.complete())) return false;
    const newest = await stack.query(`select l.stream_id, sealcast.envelope(m) as text
      from (select stream_id, max("offset") as "offset" from sealcast.stream_log group by 1) n
      join sealcast.stream_log l using (stream_id, "offset") join sealcast.messages m using (ts, message_id)`);
    return readers.haveReceived(Object.fromEntries(newest.map(({ stream_id, text }) => [stream_id, text])));
  };
  // If the broker has lost the last messages of a stream, its reader sees the gap only when another message follows.
  for (let round = 0; round < 15; round++) {
    await clients.sendToEveryRoom();
    if (await until('everything arrives', arrived, 4000).catch(() => false)) break;
  }
  const stored = await stack.query('select sender_id, txn_id, stream_id, sealcast.envelope(m) as text from sealcast.messages m');
  const logged = await stack.query(`select l.stream_id, l."offset", m.sender_id, m.txn_id, sealcast.envelope(m) as text
    from sealcast.stream_log l left join sealcast.messages m using (ts, message_id)`);
  const texts = new Map(system.rooms.map((room) => [room, []]));
  for (const { stream_id, offset, text } of logged) texts.get(stream_id)[offset - 1] = text;
  return {
    stored: stored.map((row) => ({ sender: row.sender_id, txnId: row.txn_id, streamId: row.stream_id, text: row.text })),
    logged: logged.map((row) => ({ streamId: row.stream_id, offset: Number(row.offset), sender: row.sender_id, txnId: row.txn_id })),
    deliveries: await readers.deliveries(texts),
    effects: await system.events.effects(),
    epoch: await stack.logEpoch(),
  };
}

function verifies(text) {
  try {
    (isRedacted(text) ? checkRedacted : checkEnvelope)(text, system.stack.keyring);
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
  print(`${history.attempts.length} answers: ${Object.entries(statuses).map(([name, count]) => `${name}: ${count}`).join(', ')}`);
  print(`${history.reads.length} pages read, ${history.calls.length} calls of moderation`);
  const redacted = history.stored.filter(({ text }) => isRedacted(text)).length;
  print(`${history.redactions.length} calls that redact, ${redacted} redacted messages, ${history.late.length} readers came later`);
  print(`${history.stored.length} messages stored, ${frames.length} frames received; MQTT: ${history.repaired.length} frames from the history, after a kill of the broker`);
  const stored = new Set(history.stored.map(({ text }) => text));
  const lost = new Set(history.attempts.filter(({ status, text }) => status === 200 && !stored.has(text)).map(({ text }) => text));
  print(`${history.losses.length} times the history of Postgres went back, with ${lost.size} answered messages; ${history.effects.length} effects of events`);
  if (violations.length === 0) return print(`All guarantees hold (seed ${seed})`);
  mkdirSync(results, { recursive: true });
  const lines = (name, entries) => writeFileSync(`${results}/${name}`, entries.map((entry) => `${entry}\n`).join(''));
  for (const [name, entries] of Object.entries({ violations, ...history, deliveries: [history.deliveries], run: [history.run], epoch: [history.epoch] })) {
    lines(`${name}.jsonl`, entries.map((entry) => JSON.stringify(entry)));
  }
  for (const [name, log] of system.logs) lines(`sidecar-${name}.log`, log.lines);
  for (const worker of system.events.workers) lines(`${worker.holder}.log`, worker.log);
  for (const log of readdirSync(join(system.stack.directory, 'log'))) cpSync(join(system.stack.directory, 'log', log), join(results, log));
  for (const { guarantee, details, txnId } of violations.slice(0, 20)) {
    print(`VIOLATED: ${guarantee}: ${details}`);
    for (const attempt of txnId ? history.attempts.filter((other) => other.txnId === txnId) : []) print(`    ${JSON.stringify(attempt)}`);
  }
  print(`Violations of guarantees: ${violations.length}, after the faults above. The history is in build/chaos/${seed}/.`);
  print(repeat);
}
