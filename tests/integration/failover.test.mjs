// A failover to a standby that lacks the newest commits. The sidecars live on and get the same batches and offsets again, with other
// messages. Every reader and every transport gets the messages of the new history.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createClient } from '../../client/index.js';
import { Reader } from '../client/reader.mjs';
import { write } from '../client/stream.mjs';
import { Broker } from './broker.mjs';
import { Subscriber, request } from './http.mjs';
import { RedisTarget } from './redis_target.mjs';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

const planes = [];
after(async () => {
  for (const plane of planes) {
    plane.broker?.subscriber?.kill();
    await plane.close();
  }
});

// Two servers, two sidecars with all transports, and a worker.
async function createPlane() {
  let standby, broker;
  const settings = () => ({
    SEALCAST_POSTGRES_DSN: standby.eitherDsn,
    SEALCAST_MQTT_URL: broker.url,
    SEALCAST_REDIS_STREAMS_URL: standby.stack.gateUrl,
    SEALCAST_REDIS_STREAMS_PASSWORD_FILE: join(standby.stack.directory, 'secrets/redis'),
  });
  const plane = await EventPlane.create((redis) => ({ ...settings(redis) }), async (stack) => {
    standby = { stack, ...(await stack.standby()) };
    broker = await Broker.start(stack);
    return RedisTarget.start(stack);
  });
  planes.push(plane);
  Object.assign(plane, { standby, broker });
  plane.second = await plane.stack.sidecar({ ...plane.settings, SEALCAST_GATE_SOCKET: '' });
  plane.working = await plane.worker();
  return plane;
}

const many = (label, from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${label} ${i + from}`);
const contents = (frames) => frames.map(({ envelope }) => envelope.d.content);
const last = async (url, room) => (await request(`${url}/streams/${room}/messages?limit=1`)).json.last;
const relayed = (url, room, offset) => until(`offset ${offset}`, async () => (await last(url, room)) === offset, 30_000);
const writeBatches = async (plane, room, sizes, label, from) => {
  let offset = from;
  for (const [i, size] of sizes.entries()) {
    await write(plane.stack, room, size, `${label}${i}`);
    await relayed(plane.second.url, room, (offset += size));
  }
};
const entriesOf = async ({ stack }, room) =>
  ((await stack.redis('XRANGE', `sealcast:stream:${room}`, '-', '+')).match(/"content":"[^"]*"/g) ?? []).map((text) => text.slice(11, -1));

// The standby has the 20 messages `kept`, and lacks the 10 messages `lost`, which every reader has.
async function lag(plane, room) {
  const { broker, stack, standby } = plane;
  await broker.read([room]);
  await writeBatches(plane, room, [5, 5, 10], 'kept', 0);
  await plane.untilApplied();
  const { rows: [{ lsn }] } = { rows: await stack.query('select pg_current_wal_lsn() as lsn') };
  await until('the standby has everything', async () => (await standby.query(`select pg_last_wal_replay_lsn() >= '${lsn}' as done`)).rows[0].done);
  await standby.detach();
  await writeBatches(plane, room, [5, 5], 'lost', 20);
  // A frame comes twice when the lease of its shard moves.
  await until('MQTT has everything', () => new Set(broker.frames.get(room).map(({ offset }) => offset)).size === 30);
  await until('Redis has everything', async () => (await entriesOf(plane, room)).length === 30);
  await plane.untilApplied();
}

const kept = [...many('kept0', 1, 5), ...many('kept1', 1, 5), ...many('kept2', 1, 10)];
const lost = [...many('lost0', 1, 5), ...many('lost1', 1, 5)];

// Ends both sidecars as a crash does. The function that it returns starts them under their old addresses.
async function crash(plane) {
  const ended = [plane.sidecar, plane.second];
  for (const sidecar of ended) sidecar.process.kill('SIGKILL');
  await Promise.all(ended.map(({ exited }) => exited));
  return async () => {
    const again = (sidecar) => plane.stack.sidecar({ ...plane.settings, SEALCAST_GATE_SOCKET: '', SEALCAST_HTTP_LISTEN: new URL(sidecar.url).host });
    [plane.sidecar, plane.second] = await Promise.all(ended.map(again));
  };
}

const cases = [
  ['more new messages', [3, 4, 3, 8]],
  ['fewer new messages', [4]],
  ['as many new messages', [5, 5]],
  ['the new messages of sidecars that crashed', [5, 5, 2], true],
];
for (const [what, sizes, crashes] of cases) {
  test(`after a failover that lost batches, ${what} reach every reader and transport`, { timeout: 180_000 }, async () => {
    const plane = await createPlane();
    const { broker, stack } = plane;
    const room = await stack.stream();
    const urls = [plane.sidecar.url, plane.second.url];
    const readers = urls.map((url) => new Reader(createClient({ url }), room, { from: 0 }));
    const live = await Subscriber.to(plane.second.url, room, { lastEventId: 0 });
    await lag(plane, room);
    for (const reader of readers) await reader.reached(30);
    const old = await stack.logEpoch();

    const start = crashes && (await crash(plane));
    await stack.failOver(plane.standby);
    await start?.();
    const fresh = sizes.flatMap((size, i) => many(`new${i}`, 1, size));
    await writeBatches(plane, room, sizes, 'new', 20);
    const end = 20 + fresh.length;

    await until('the event stream of the old log ends', () => !live.open);
    for (const reader of readers) {
      await reader.until('the reader has the new log', () => contents(reader.frames).slice(-end).join() === [...kept, ...fresh].join());
      assert.deepEqual(contents(reader.frames).slice(0, 30), [...kept, ...lost]);
      assert.deepEqual(reader.notes.filter(([name]) => name === 'rewound'), [['rewound', { offset: 0 }]]);
    }
    const missing = (seen) => fresh.filter((content) => !seen.includes(content));
    await until('MQTT has the new messages', () => missing(contents(broker.frames.get(room))).length === 0);
    await until('Redis has the new messages', async () => missing(await entriesOf(plane, room)).length === 0);
    await plane.untilApplied();
    await until('every transport has delivered everything', async () => {
      const rows = await stack.query('select from sealcast.delivery_status where owed = 0 and lagging_streams = 0');
      return rows.length === 4;
    });
    assert.notEqual(await stack.logEpoch(), old);
    for (const sidecar of crashes ? [] : [plane.sidecar, plane.second]) {
      assert(sidecar.log.some((line) => line.includes('"level":"error"') && line.includes('the log of the database has another epoch')));
      assert.match(await fetch(`${sidecar.url}/metrics`).then((answer) => answer.text()), /^sealcast_relay_new_epochs_total 1$/m);
    }
  });
}
