// One stream grows from 0 to 12,000 viewers and shrinks again, during a chat storm: with real heartbeats and a real broker.
// Readers of the client library stay on SSE, stay on MQTT, or migrate to MQTT and back. The stream's leader is killed at each
// step. Each reader gets every message of tier 0 or 1 and its own messages, once; the badge and the viewer counts are right.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { Broker } from '../integration/broker.mjs';
import { beatAtOnce } from '../integration/viewers.mjs';
import { PrivateStack, freePort } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { QUICK, Reader } from './reader.mjs';
import { write } from './stream.mjs';

const MOVING = 8; // readers that migrate
const STAYING = 3; // readers that stay, on each transport
const SOFT = 8000;
const HARD = 10_000;
const LOW = 6000;
const STORM = 40; // messages per second

let stack, broker;
before(async () => {
  stack = await PrivateStack.create();
  broker = await Broker.start(stack);
});
after(() => stack?.close());

// Two sidecars at fixed addresses, as behind a load balancer. A killed sidecar starts again at the same address.
class Sidecars {
  #settings;
  running = [];

  static async start(more) {
    const sidecars = new Sidecars();
    sidecars.ports = [await freePort(), await freePort()];
    sidecars.#settings = more;
    for (const index of [0, 1]) await sidecars.#start(index);
    return sidecars;
  }

  async #start(index) {
    const listen = { SEALCAST_HTTP_LISTEN: `127.0.0.1:${this.ports[index]}`, SEALCAST_GATE_SOCKET: '' };
    this.running[index] = await stack.sidecar({ ...this.#settings, ...listen });
  }

  url(n) {
    return `http://127.0.0.1:${this.ports[n % 2]}`;
  }

  // Kills the leader of the stream's shard, and starts it again.
  async killLeader(room) {
    const index = await until('the shard has a leader', async () => {
      const [row] = await stack.query(
        'select holder from sealcast_internal.relay_leases where shard = sealcast_internal.shard_of($1) and lease_until > clock_timestamp()', [room]);
      const found = this.running.findIndex((sidecar) => sidecar.running && sidecar.holder === row?.holder);
      return found < 0 ? null : [found];
    });
    const sidecar = this.running[index[0]];
    sidecar.process.kill('SIGKILL');
    await sidecar.exited;
    await this.#start(index[0]);
  }

  async stop() {
    for (const sidecar of this.running) await sidecar.stop();
  }
}

// Sends the heartbeats of `count` viewers to both sidecars in turn, and ignores failures. `count` may be changed at any time.
class Viewers {
  count = 0;
  #over = false;

  constructor(sidecars, room) {
    this.ended = this.#watch(sidecars, room);
  }

  async #watch(sidecars, room) {
    for (let n = 0; !this.#over; n++) {
      await beatAtOnce(sidecars.url(n), room, this.count).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 200)); // the pause between heartbeats
    }
  }

  async leave() {
    this.#over = true;
    await this.ended;
  }
}

const onMqtt = () => mqtt({ client: () => mqttjs.connect(broker.url, { reconnectPeriod: 0 }) });

test('no message is lost or repeated while a stream grows to 12,000 viewers and shrinks again', { timeout: 300_000 }, async () => {
  const sidecars = await Sidecars.start({
    SEALCAST_AUDIENCE_WINDOW_MS: '9000',
    SEALCAST_AUDIENCE_UPDATE_MS: '500',
    SEALCAST_AUDIENCE_RATE_PER_ADDRESS: '0',
    SEALCAST_SAMPLING_STORM_PER_SECOND: String(STORM),
    SEALCAST_SAMPLING_CALM_MS: '1000',
    SEALCAST_MQTT_URL: broker.url,
    SEALCAST_MQTT_READERS_PER_SECOND: '10000',
    SEALCAST_DELIVERY_STANDARD: 'sse,mqtt',
    SEALCAST_DELIVERY_HOT: 'mqtt',
    SEALCAST_SWITCHING_TARGET: 'mqtt',
    SEALCAST_SWITCHING_SOFT_LIMIT: String(SOFT),
    SEALCAST_SWITCHING_HARD_LIMIT: String(HARD),
    SEALCAST_SWITCHING_LOW_LIMIT: String(LOW),
    SEALCAST_SWITCHING_HOLD_MS: '2000',
    SEALCAST_SWITCHING_WINDOW_MS: '5000',
    SEALCAST_SWITCHING_OVERLAP_MS: '1000',
  });
  const room = await stack.stream();

  // Each reader is another user, and also sends messages.
  const readers = [];
  const open = async (kind, transports) => {
    const user = stack.user();
    const url = sidecars.url(readers.length);
    const client = createClient({ url, token: user.token(), transports: transports(), retry: QUICK });
    const reader = new Reader(client, room, { patienceMs: 50, quietMs: 3000 });
    readers.push(Object.assign(reader, { kind, user, client, own: [] }));
    await reader.ready();
    return reader;
  };
  for (let i = 0; i < MOVING; i++) await open('moving', () => [sse(), onMqtt()]);
  for (let i = 0; i < STAYING; i++) await open('sse', () => [sse()]);
  for (let i = 0; i < STAYING; i++) await open('mqtt', () => [onMqtt()]);
  const [offset] = await stack.query('select sealcast_internal.last_offset($1) as last', [room]);
  assert.equal(Number(offset.last), 0, 'no message was sent before all readers were ready');

  // The chat: a storm of messages of many users, and messages of a moderator and of the readers.
  const moderator = stack.user();
  await stack.grant(room, moderator, 'moderator');
  const moderating = createClient({ url: sidecars.url(0), token: moderator.token(), retry: QUICK });
  let stormy = true;
  let rounds = 0;
  const chat = (async () => {
    for (let n = 0; stormy; n++) {
      const sender = readers[n % readers.length];
      const content = `own ${n}`;
      await Promise.all([
        write(stack, room, 12, 'crowd'),
        sender.client.sendMessage(room, 'chat', { content }).then(() => sender.own.push(content)),
        n % 5 === 0 && moderating.sendMessage(room, 'chat', { content: `moderated ${n}` }),
      ]);
      rounds = n;
      await new Promise((resolve) => setTimeout(resolve, 150)); // the pause between rounds
    }
  })();

  const viewers = new Viewers(sidecars, room);
  const updates = (reader) => reader.frames.filter(({ envelope }) => envelope.t === 'viewer_count_update').map(({ envelope }) => envelope.d.total);
  const counted = async (count) => {
    viewers.count = count;
    await readers[0].until(
      `${count} viewers are counted`,
      () => Math.abs(updates(readers[0]).at(-1) - count) <= 0.02 * count,
      60_000,
    );
  };
  const step = (name) =>
    until(`the stream is at step ${name}`, async () => {
      const [row] = await stack.query('select step from sealcast.switching where stream_id = $1', [room]);
      return (row?.step ?? 'standard') === name;
    }, 60_000);
  const everyMover = async (transport) => {
    for (const reader of readers.filter(({ kind }) => kind === 'moving')) {
      await reader.until(`the reader uses ${transport}`, () => reader.subscription.transport === transport, 60_000);
    }
  };

  await counted(SOFT - 1000);
  await step('standard');
  await counted(SOFT + 1000);
  await step('warming');
  await sidecars.killLeader(room);
  await counted(12_000);
  await step('joining');
  await sidecars.killLeader(room);
  await everyMover('mqtt');
  await step('hot');
  await sidecars.killLeader(room);
  // A reader that comes now must migrate too.
  const late = await open('late', () => [sse(), onMqtt()]);
  await late.until('the late reader uses MQTT', () => late.subscription.transport === 'mqtt', 60_000);
  await counted(LOW + 1000);
  await step('hot');
  await counted(LOW - 1000);
  await step('leaving');
  await sidecars.killLeader(room);
  await everyMover('sse');
  await late.until('the late reader is back on SSE', () => late.subscription.transport === 'sse', 60_000);
  await step('standard');
  await counted(0);
  stormy = false;
  await chat;
  await viewers.leave();
  const badge = (reader) => reader.frames.filter(({ envelope }) => envelope.t === 'sampling_update').at(-1)?.envelope.d.active;
  for (const reader of readers) await reader.until('the badge is off', () => badge(reader) === false, 60_000);
  await write(stack, room, 1, 'the end');
  for (const reader of readers) {
    await reader.until('the end', () => reader.frames.some(({ envelope }) => envelope.d.content === 'the end 1'));
    await reader.close();
  }

  // Each reader must have got the messages of the public channel in stream_log, and its own messages.
  const log = await stack.query(
    `select l."offset"::integer, l.public, m.t, m.sender_id, m.txn_id, sealcast.tier(m.t, m.sender_id, m.d::jsonb) as tier
     from sealcast.stream_log l join sealcast.messages m on m.ts = l.ts and m.message_id = l.message_id
     where l.stream_id = $1 order by l."offset"`, [room]);
  assert.deepEqual(log.map(({ offset: each }) => each), log.map((_, i) => i + 1));
  assert.ok(log.every(({ public: shown, tier }) => shown || tier === 2), 'the public channel carries tiers 0 and 1');
  const left = log.filter(({ public: shown }) => !shown).length;
  assert.ok(left > log.length / 4, `${left} of ${log.length} were left out, too few for a storm`);
  for (const reader of readers) {
    const who = `${reader.kind} ${reader.user.id}`;
    const frames = reader.frames.filter(({ offset: each, retained }) => each !== null && !retained);
    const first = reader.kind === 'late' ? frames[0].offset : 1;
    // A message that was shown without an offset does not come again as a frame.
    const echoed = new Set(reader.frames.filter(({ offset: each }) => each === null).map(({ envelope }) => envelope.txn_id));
    const expected = log
      .filter((each) => each.offset >= first && each.public && !echoed.has(each.txn_id))
      .map((each) => each.offset);
    assert.deepEqual(frames.map((frame) => frame.offset), expected, `${who}: each frame of the public channel, once and in order`);
    const own = reader.frames.filter(({ envelope }) => envelope.s === reader.user.id).map(({ envelope }) => envelope.d.content);
    assert.deepEqual(own.sort(), reader.own.sort(), `${who}: each of its own messages, once`);
    const badges = reader.frames.filter(({ envelope }) => envelope.t === 'sampling_update').map(({ envelope }) => envelope.d.active);
    assert.equal(badges.includes(true), true, `${who}: the badge`);
    const moves = reader.notes.filter(([name]) => name === 'transport').map(([, name]) => name);
    assert.deepEqual(moves, ['moving', 'late'].includes(reader.kind) ? ['mqtt', 'sse'] : [], `${who}: its migrations`);
  }
  const changes = await stack.query('select to_mode from sealcast.delivery_changes where stream_id = $1 order by change_id', [room]);
  assert.deepEqual(changes.map(({ to_mode: mode }) => mode), ['hybrid', 'hot', 'hybrid', 'standard']);
  const steps = log.filter(({ t }) => t === 'transport_warmup');
  assert.equal(steps.length, 1);
  console.log(`# ${log.length} messages, ${left} of them left out of the public channel, ${rounds} rounds, ${readers.length} readers`);
  await sidecars.stop();
});
