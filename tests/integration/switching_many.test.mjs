// Switches 1,000 streams at once: they move in batches, and a stream that goes back is first. A hot stream gets no messages.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Broker } from './broker.mjs';
import { request } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const STREAMS = 1000;

let stack, broker;
before(async () => {
  stack = await PrivateStack.create();
  broker = await Broker.start(stack);
});
after(() => stack?.close());

const settings = () => ({
  SEALCAST_MQTT_URL: broker.url,
  SEALCAST_DELIVERY_STANDARD: 'sse',
  SEALCAST_DELIVERY_HYBRID: 'sse,mqtt',
  SEALCAST_DELIVERY_HOT: 'mqtt',
  SEALCAST_SWITCHING_TARGET: 'mqtt',
  SEALCAST_SWITCHING_WINDOW_MS: '2000',
  SEALCAST_SWITCHING_OVERLAP_MS: '700',
});

const force = (rooms, mode) => stack.query('select from unnest($1::uuid[]) room, sealcast.set_delivery_mode(room, $2)', [rooms, mode]);
const commits = async () =>
  (await stack.query('select xact_commit::integer as commits from pg_stat_database where datname = current_database()'))[0].commits;

test('a stream that goes back does not wait for 1,000 others, and 1,000 streams cost few transactions', { timeout: 400_000 }, async (t) => {
  const sidecar = await stack.sidecar(settings());
  // Reads the metrics, because a statement would be a transaction itself.
  const metric = async (name) => {
    const { text } = await request(`${sidecar.url}/metrics`);
    return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ')[1] ?? 0);
  };
  const streamsAt = (step) => metric(`sealcast_switching_streams{step="${step}"}`);
  const taken = (action) => metric(`sealcast_switches_total{action="${action}"}`);

  const urgent = await stack.stream();
  await force([urgent], 'hot');
  await until('the first stream is hot', async () => (await streamsAt('hot')) === 1, 30_000);
  const rooms = await stack.query(
    'insert into sealcast.streams (stream_id) select gen_random_uuid() from generate_series(1, $1) returning stream_id', [STREAMS]);

  const committed = await commits();
  const began = performance.now();
  await force(rooms.map(({ stream_id: room }) => room), 'hot');
  await until('the others are on their way', async () => (await taken('warm')) > 1, 30_000);
  const asked = performance.now();
  await force([urgent], 'standard');
  await until('the first stream goes back', async () => (await taken('leave')) === 1, 60_000);
  const waited = performance.now() - asked;
  const joined = await taken('join');
  await until('the others are hot', async () => (await streamsAt('hot')) === STREAMS, 200_000);
  const all = performance.now() - began;
  const spent = (await commits()) - committed;
  t.diagnostic(`${STREAMS} streams were hot after ${Math.round(all)} ms and ${spent} commits; the urgent one left after ${Math.round(waited)} ms`);
  assert.ok(joined < STREAMS, 'the urgent stream did not wait for the others');
  assert.ok(waited < 10_000, `the urgent stream waited ${waited} ms`);
  assert.ok(spent < 2 * STREAMS, `${spent} commits for 4 steps of ${STREAMS} streams`);

  const [{ sent }] = await stack.query("select count(*)::integer as sent from sealcast.messages where t = 'transport_migrate' and stream_id <> $1", [urgent]);
  assert.equal(sent, 2 * STREAMS, 'each stream has sent its message, and the one after the window');
  await sidecar.stop();
});
