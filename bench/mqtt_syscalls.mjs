// Counts the system calls by which sealcastd publishes 1,000 messages to a Mosquitto: in batches, and one by one. Run it with
// SEALCASTD=build/sealcastd node bench/mqtt_syscalls.mjs; it needs strace and the right to trace.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker } from '../tests/integration/broker.mjs';
import { PrivateStack } from '../tests/integration/stack.mjs';
import { until } from '../tests/integration/waiting.mjs';

const MESSAGES = Number(process.env.MESSAGES ?? 1000);
const STREAMS = 5;

const stack = await PrivateStack.create();
const broker = await Broker.start(stack);
const rooms = await Promise.all(Array.from({ length: STREAMS }, () => stack.stream()));
const sidecar = await stack.sidecar({ SEALCAST_MQTT_URL: broker.url, SEALCAST_LOG_LEVEL: 'error' });

const owed = async () => (await stack.query("select owed from sealcast.delivery_status where transport = 'mqtt'"))[0]?.owed;
const untilDelivered = () => until('all messages are delivered', async () => (await owed()) === '0', 60_000);

// Commits messages as the sidecar's admission does, spread over the streams.
async function commit(count) {
  const ids = Array.from({ length: count }, (_, i) => rooms[i % STREAMS]);
  const uuids = () => ids.map(() => randomUUID());
  await stack.query('select from sealcast.admit($1, $2, $3, $4, $5)', [
    ids, ids.map(() => 'chat'), uuids(), uuids(), ids.map((_, i) => JSON.stringify({ type: 'chat', content: `message ${i}` }))]);
}

// Returns the calls on the connection to the broker, and on the socket pair by which libmosquitto wakes a thread.
async function traced(work) {
  const file = join(tmpdir(), `mqtt-syscalls-${randomUUID()}`);
  const calls = 'trace=read,write,readv,writev,sendto,sendmsg,recvfrom,recvmsg';
  const strace = spawn('strace', ['-f', '-yy', '-e', calls, '-o', file, '-p', `${sidecar.process.pid}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  await once(strace.stderr, 'data'); // strace has attached
  await work();
  await untilDelivered();
  strace.kill('SIGINT');
  await once(strace, 'close');
  const lines = readFileSync(file, 'utf8').split('\n');
  rmSync(file);
  const toBroker = lines.filter((line) => line.includes(`->127.0.0.1:${broker.port}]>`));
  const wakeUps = lines.filter((line) => / write\(\d+<UNIX/.test(line) && / 1\) += /.test(line));
  const count = (all, pattern) => all.filter((line) => pattern.test(line)).length;
  return {
    writes: count(toBroker, / (write|writev|sendto|sendmsg)\(/),
    reads: count(toBroker, / (read|readv|recvfrom|recvmsg)\(/),
    'of these without data': count(toBroker, / = -1 EAGAIN/),
    'wake-ups': wakeUps.length,
    'of these failed': count(wakeUps, / = -1 EAGAIN/),
  };
}

await until('the transport has begun', async () => (await owed()) !== undefined);
await commit(STREAMS);
await untilDelivered();
console.table({
  'batches of 250': await traced(async () => {
    for (let done = 0; done < MESSAGES; done += 250) await commit(250);
  }),
  'one by one': await traced(async () => {
    for (let done = 0; done < MESSAGES; done++) await commit(1);
  }),
});
await sidecar.stop();
await broker.stop();
await stack.close();
