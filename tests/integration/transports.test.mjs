// All transports at once, each with a reader. One transport after the other is broken; the others keep up meanwhile. In the end
// every reader has exactly the committed messages, in order per stream. Each phase prints the delay of the SSE readers and the memory
// of the sidecar.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Broker } from './broker.mjs';
import { ContractService } from './contract_service.mjs';
import { Subscriber, request } from './http.mjs';
import { RedisTarget } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

// Sanitizers make the sidecar many times slower, and need memory themselves.
const sanitized = process.env.SEALCASTD?.includes('asan') ?? false;
const PHASES = 6;
const MESSAGES = sanitized ? 6_000 : 102_000;
const SECONDS = sanitized ? 2 : 10; // duration of a phase
const MINUTE = sanitized ? 5 : 60;
const STREAMS = 5;
const BATCH = 250;
const MAX_FRAMES = 4000;
const MAX_GROWTH = 64 * 1024 * 1024; // of the sidecar's memory, with MAX_FRAMES frames of 5 transports

let stack, redis, broker, supabase, ably, sidecar, rooms;
const subscribers = new Map();
before(async () => {
  stack = await PrivateStack.create();
  redis = await RedisTarget.start(stack);
  broker = await Broker.start(stack);
  supabase = await ContractService.start('supabase');
  ably = await ContractService.start('ably');
  rooms = await Promise.all(Array.from({ length: STREAMS }, () => stack.stream()));
  await broker.read(rooms);
  sidecar = await stack.sidecar({
    SEALCAST_REDIS_STREAMS_URL: redis.url,
    SEALCAST_REDIS_EVENTS_URL: redis.url,
    SEALCAST_MQTT_URL: broker.url,
    SEALCAST_SUPABASE_URL: supabase.url,
    SEALCAST_SUPABASE_KEY_FILE: supabase.keyFile,
    SEALCAST_SUPABASE_CA_FILE: supabase.certificates,
    SEALCAST_ABLY_URL: ably.url,
    SEALCAST_ABLY_KEY_FILE: ably.keyFile,
    SEALCAST_ABLY_CA_FILE: ably.certificates,
    SEALCAST_DELIVERY_MAX_FRAMES: `${MAX_FRAMES}`,
    SEALCAST_DELIVERY_TIMEOUT_MS: '2000',
  });
  await until('all transports have begun', async () => (await unsettled()).size === 5);
  for (const room of rooms) subscribers.set(room, await Subscriber.to(sidecar.url, room));
});
after(async () => {
  for (const subscriber of subscribers.values()) subscriber.close();
  broker?.subscriber.kill();
  for (const part of [supabase, ably]) await part?.close();
  await stack.close();
});

async function unsettled() {
  const rows = await stack.query('select transport, owed + owed_to_lagging as owed from sealcast.delivery_status where transport <> $1', ['sse']);
  return new Map(rows.map((row) => [row.transport, Number(row.owed)]));
}

// Commits `count` messages as the sidecar's admission does, spread over the streams and over `seconds`.
async function commit(count, seconds) {
  const began = performance.now();
  for (let done = 0; done < count; done += BATCH) {
    await pause(Math.max(0, began + (done / count) * seconds * 1000 - performance.now()));
    const ids = Array.from({ length: BATCH }, (_, i) => rooms[i % rooms.length]);
    const uuids = () => ids.map(() => randomUUID());
    const verdicts = await stack.query('select distinct status from sealcast.admit($1, $2, $3, $4, $5)', [
      ids, ids.map(() => 'chat'), uuids(), uuids(), ids.map((_, i) => JSON.stringify({ type: 'chat', content: `message ${done + i}` })),
    ]);
    assert.deepEqual(verdicts, [{ status: 200 }]);
  }
}

async function untilOthersAreCurrent(...broken) {
  await until(`all transports except ${broken} are current`, async () => [...(await unsettled())].every(([name, n]) => broken.includes(name) || n === 0), 300_000);
  const { text } = await request(`${sidecar.url}/metrics`);
  for (const [, queued] of text.matchAll(/^sealcast_delivery_queued\{\S+\} (\S+)$/gm)) assert.ok(Number(queued) <= MAX_FRAMES, 'at most MAX_FRAMES frames are queued');
}

const memory = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${sidecar.process.pid}/status`, 'utf8'))[1]) * 1024;

let sent = 0;
async function phase(broken, begin, end, seconds = SECONDS) {
  await begin();
  await commit(MESSAGES / PHASES, seconds);
  sent += MESSAGES / PHASES;
  await untilOthersAreCurrent(...broken);
  const waits = [];
  for (const subscriber of subscribers.values()) {
    await subscriber.received(sent / STREAMS, 120_000);
    const share = -MESSAGES / PHASES / STREAMS;
    const arrivals = subscriber.arrivals.slice(share);
    waits.push(...subscriber.frames.slice(share).map(({ envelope }, i) => arrivals[i] - envelope.ts));
  }
  waits.sort((a, b) => a - b);
  await end();
  return { p50: waits[waits.length >> 1], p99: waits[Math.floor(waits.length * 0.99)], memory: memory() };
}

test('while one transport is broken the others keep up', { timeout: 900_000 }, async (t) => {
  const noFault = () => {};
  const usual = await phase([], noFault, noFault);
  for (const [what, ...how] of [
    ['Ably takes requests and never answers', ['ably'], () => ably.faults({ stuck: true }), () => ably.faults()],
    ['Supabase takes 1 s for each', ['supabase'], () => supabase.faults({ slow_ms: 1000 }), () => supabase.faults()],
    ['every second request to Ably fails', [], () => ably.faults({ fail_share: 0.5 }), () => ably.faults()],
    ['Redis is down', ['redis_streams', 'redis_events'], () => redis.stop(), () => redis.start(), MINUTE],
    ['the MQTT broker is frozen', ['mqtt'], () => broker.signal('SIGSTOP'), () => broker.signal('SIGCONT')],
  ]) {
    const now = await phase(...how);
    const mib = (bytes) => Math.round(bytes / 1024 / 1024);
    t.diagnostic(`${what}: SSE p50 ${now.p50} ms (usual: ${usual.p50}), p99 ${now.p99} ms (${usual.p99}), ${mib(now.memory)} MiB (${mib(usual.memory)})`);
    if (!sanitized) assert.ok(now.memory < usual.memory + MAX_GROWTH, `${what}: ${now.memory} bytes of memory after ${usual.memory}`);
  }
});

test('afterwards every transport has exactly the committed messages', { timeout: 900_000 }, async () => {
  await untilOthersAreCurrent();
  assert.deepEqual(await stack.query('select * from sealcast.dead_letters'), []);
  const events = await redis.events(16);
  for (const room of rooms) {
    const all = Array.from({ length: MESSAGES / STREAMS }, (_, i) => i + 1);
    const [{ count }] = await stack.query('select count(*) from sealcast.messages where stream_id = $1', [room]);
    assert.equal(Number(count), all.length, 'committed');
    assert.deepEqual(subscribers.get(room).frames.map((f) => f.offset), all, 'sse');
    assert.deepEqual((await redis.frames(room)).map((f) => f.offset), all, 'redis_streams');
    assert.deepEqual([...new Set(events.get(room))].sort((a, b) => a - b), all, 'redis_events');
    assertFirstArrivals(all, await supabase.offsets(`sealcast:${room}`), 'supabase');
    assertFirstArrivals(all, await ably.offsets(`sealcast:${room}`), 'ably');
    await until('the broker has delivered the last message', () => broker.frames.get(room).at(-1)?.offset === all.length, 60_000);
    assertFirstArrivals(all, broker.frames.get(room).map(({ offset }) => offset), 'mqtt');
  }
});

// Checks that each offset arrived, and that first arrivals are in order. Repeats may come later.
function assertFirstArrivals(all, offsets, name) {
  const fresh = [];
  for (const offset of offsets) if (fresh.length === 0 || offset > fresh.at(-1)) fresh.push(offset);
  assert.deepEqual(fresh, all, `${name}: in order`);
}
