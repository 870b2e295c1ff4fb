// Runs steady load on one sidecar for minutes, beside an open transaction that has written. Prints memory and sizes for
// each tenth of the time, and fails when memory, tables or indexes grow that should not.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { message, send } from '../integration/http.mjs';
import { PrivateStack } from '../integration/stack.mjs';

const seconds = Number(process.env.SECONDS_OF_LOAD);
const rate = Number(process.env.RATE);
const readers = Number(process.env.READERS);
const SAMPLES = 10;
const SENDERS_EACH = 3; // messages per second of one sender; the gate allows five
const KIB = 1024;
const SEGMENT = 256 * KIB; // of the outbox. The default is 32 MiB; small segments are truncated within minutes.

// Only the tables of messages may grow, and relay_log for its first hour.
const named = {
  outbox: "c.relname like 'outbox\\__%'",
  leases: "c.relname in ('relay_leases', 'relay_members', 'deliveries')",
  relay_log: "c.relname = 'relay_log'",
  messages: "c.relname like 'messages%' or c.relname like 'stream\\_runs%' or c.relname = 'txn_keys'",
};
const kinds = { ...named, others: `not (${Object.values(named).join(' or ')})` };

const stack = await PrivateStack.create();
const sidecar = await stack.sidecar();
const streamId = await stack.stream();
const secret = join(stack.directory, 'session-secret');
writeFileSync(secret, stack.sessionSecret);

// The open transaction has a snapshot, an xid, and a message in the outbox.
const holder = await stack.connect();
await holder.query('begin isolation level repeatable read');
await holder.query('select sealcast.admit(array[$1]::uuid[], $2, array[gen_random_uuid()], array[gen_random_uuid()], $3)', [
  await stack.stream(), ['chat'], ['{}'],
]);

const options = {
  port: new URL(sidecar.url).port, stream: streamId, keyring: stack.keyring, 'session-secret': secret, rate, seconds, warmup: 0,
  connections: 8, senders: Math.ceil(rate / SENDERS_EACH), subscribers: readers,
};
const parameters = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
const generator = fileURLToPath(new URL('../../build/sealcast_load', import.meta.url));
const load = new Promise((resolve) => {
  execFile(generator, parameters, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, text: stdout + stderr }));
});

const memoryOf = (pid, line) => Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * KIB;

async function sample() {
  const [{ stored, logged, shards }] = await stack.query(`select (select count(*) from sealcast.messages) as stored,
    (select count(*) from sealcast_internal.relay_log) as logged, (select count(*) from sealcast_internal.relay_leases) as shards`);
  const backends = (await stack.backends()).map((pid) => memoryOf(pid, 'RssAnon')); // without memory that the server's processes share
  const sizes = {};
  for (const [kind, which] of Object.entries(kinds)) {
    const [row] = await stack.query(`select coalesce(sum(pg_table_size(c.oid)) filter (where c.relkind = 'r'), 0) as tables,
      coalesce(sum(pg_relation_size(c.oid)) filter (where c.relkind = 'i'), 0) as indexes
      from pg_class c left join pg_index i on i.indexrelid = c.oid left join pg_class t on t.oid = i.indrelid
      where c.relnamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace) and c.relkind in ('r', 'i') and (${which.replaceAll('c.relname', 'coalesce(t.relname, c.relname)')})`);
    sizes[kind] = { tables: Number(row.tables), indexes: Number(row.indexes) };
  }
  return {
    stored: Number(stored),
    logged: Number(logged),
    shards: Number(shards),
    memory: memoryOf(sidecar.process.pid, 'VmRSS'),
    backends: backends.reduce((sum, bytes) => sum + bytes, 0),
    sizes,
  };
}

const size = (bytes) => `${Math.round(bytes / KIB)}`.padStart(9);
const both = ({ tables, indexes }) => `${size(tables)} +${size(indexes)}`;
// claim_shards() does the same with the default size. After a lock timeout (55P03) the next call tries again.
const rotate = () => stack.query('select sealcast_internal.rotate_outbox($1)', [SEGMENT]).catch((error) => {
  if (error.code !== '55P03') throw error;
});
const rotation = setInterval(rotate, 1000);

console.log(`${rate} messages per second to ${readers} readers for ${seconds} s, beside an open transaction. KiB, tables + indexes:`);
console.log(`  s   messages  sealcastd  backends ${Object.keys(kinds).map((kind) => kind.padStart(20)).join(' ')}   bytes per message`);
const samples = [];
for (let i = 1; i <= SAMPLES; i++) {
  await pause((seconds * 1000) / SAMPLES);
  const now = await sample();
  samples.push(now);
  const { tables, indexes } = now.sizes.messages;
  console.log(`${String(Math.round((seconds * i) / SAMPLES)).padStart(4)} ${String(now.stored).padStart(9)} ${size(now.memory)} ${size(now.backends)}  ` +
    `${Object.values(now.sizes).map(both).join(' ')} ${String(Math.round((tables + indexes) / now.stored)).padStart(12)}`);
}
const { code, text } = await load;
clearInterval(rotation);
console.log(text.trim());

const [half, end] = [samples[SAMPLES / 2 - 1], samples[SAMPLES - 1]];
const grown = [];
const expectFlat = (name, before, after, slack, factor = 1.1) => {
  if (after > before * factor + slack) grown.push(`${name}: ${size(before)} KiB after half of the time, ${size(after)} at the end`);
};
const total = ({ tables, indexes }) => tables + indexes;
expectFlat("sealcastd's memory", half.memory, end.memory, 2048 * KIB);
expectFlat("the memory of sealcastd's backends", half.backends, end.backends, 2048 * KIB, 1);
expectFlat('bytes per message', total(half.sizes.messages) / half.stored, total(end.sizes.messages) / end.stored, 0);
expectFlat('the outbox', 0, total(end.sizes.outbox), 6 * SEGMENT); // three segments, and their indexes
// These may grow a little: vacuum keeps the row versions that the open transaction might see.
expectFlat('leases and deliveries', total(half.sizes.leases), total(end.sizes.leases), 1024 * KIB);
expectFlat('bytes per row of relay_log', total(half.sizes.relay_log) / half.logged, total(end.sizes.relay_log) / end.logged, 0);
// A drain that finds messages logs one row per shard. An empty drain logs nothing.
if (end.logged > end.stored * end.shards) grown.push(`relay_log: ${end.logged} rows for ${end.stored} messages in ${end.shards} shards`);
expectFlat('the other tables', total(half.sizes.others), total(end.sizes.others), 64 * KIB);

// The open transaction must still be usable, and messages must still be accepted.
await holder.query('commit');
await holder.end();
const last = await send(sidecar.url, stack.user(), message(streamId));
if (last.status !== 200) grown.push(`a message at the end: ${last.text}`);
await sidecar.stop();
await stack.close();
for (const problem of grown) console.log(`GROWN: ${problem}`);
process.exit(code !== 0 || grown.length > 0 ? 1 : 0);
