// Clients that try to fill the sidecar's memory: each attack alone, and all at once under a limit of the operating system. Honest
// users are served meanwhile. And readers who vanish without closing their connection.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { RawConnection, Subscriber, message, rawRequest, request, send } from './http.mjs';
import { Network } from './network.mjs';
import { PrivateStack } from './stack.mjs';
import { until, within } from './waiting.mjs';

const run = promisify(execFile);
const MiB = 1024 * 1024;
// Sanitizers reserve terabytes of addresses and keep freed memory, so that there is nothing to limit and to measure.
const sanitized = process.env.SEALCASTD?.includes('asan') ?? false;
const BUDGET = 32 * MiB;
const RING = 4 * MiB;
// What the process may need besides: connections, pages that Postgres has just sent, and fragments of the heap.
const SPARE = 96 * MiB;
const CONTENT = 'x'.repeat(15_000);
const HISTORY = 400; // messages of a room that no kernel buffer can hold
const SYSTEM_LIMIT = 2 * BUDGET + 256 * MiB; // docs/operations.md

let stack, room;
before(async () => {
  stack = await PrivateStack.create();
  room = await stack.stream();
});
after(() => stack.close());

// Runs `use` with a sidecar. `limit` is the largest size of the process's data that the operating system allows.
async function withSidecar({ limit, settings, inside }, use) {
  const own = { SEALCAST_MEMORY_MAX_BYTES: `${BUDGET}`, SEALCAST_SSE_RING_BYTES: `${RING}`, SEALCAST_GATE_SOCKET: '' };
  const under = limit && !sanitized ? ['prlimit', `--data=${limit}`] : [];
  const sidecar = await stack.launch({ ...own, ...settings }, { under, inside });
  try {
    await sidecar.ready();
    await use(sidecar);
    await sidecar.stop();
  } catch (error) {
    const end = sidecar.running ? 'runs' : `ended: ${JSON.stringify(await sidecar.exited)}`;
    throw new Error(`${error.message}; the sidecar ${end}\n${sidecar.tail()}`, { cause: error });
  } finally {
    sidecar.process.kill('SIGKILL');
  }
}

// A line of the process's status, in bytes: VmRSS, VmHWM (its peak), VmData.
function statusOf({ process }, name) {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))[1]) * 1024;
}

const inMiB = (bytes) => `${Math.round(bytes / MiB)} MiB`;

const valueOf = (metrics, name) => Number(metrics.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ').at(-1) ?? NaN);

// Sends messages to the room, each by another user, until it has `count`.
async function fill(url, target, count) {
  for (let sent = 0; sent < count; ) {
    const answers = await Promise.all(Array.from({ length: Math.min(50, count - sent) }, () => send(url, stack.user(), message(target, CONTENT))));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200], answers.find(({ status }) => status !== 200)?.text);
    sent += answers.length;
  }
}

let filled;
const fillRoom = (url) => (filled ??= fill(url, room, HISTORY));

// A reader that resumes when its event stream ends, as an EventSource does.
class Follower {
  offsets = [];
  #url;
  #streamId;
  #subscriber;

  static async to(url, streamId, lastEventId) {
    const follower = new Follower();
    follower.#url = url;
    follower.#streamId = streamId;
    follower.#subscriber = await Subscriber.to(url, streamId, { lastEventId });
    return follower;
  }

  // Resolves when `count` frames have arrived since the start.
  async received(count) {
    await until(`${count} frames`, async () => {
      const { open, frames, lastEventId } = this.#subscriber;
      for (const { offset } of frames.splice(0)) this.offsets.push(offset);
      if (!open) this.#subscriber = await Subscriber.to(this.#url, this.#streamId, { lastEventId });
      return this.offsets.length >= count;
    }, 60_000);
    assert.deepEqual(this.offsets, Array.from({ length: count }, (_, i) => i + 1), 'every frame once, in order');
  }

  close() {
    this.#subscriber.close();
  }
}

async function connections(url, count) {
  const { hostname, port } = new URL(url);
  return Promise.all(Array.from({ length: count }, async () => {
    const socket = net.connect(Number(port), hostname);
    socket.on('error', () => {}); // the sidecar may end the connection
    await once(socket, 'connect');
    return socket;
  }));
}

// The attacks. Each resolves when the sidecar has got everything, or has ended the connections. The result is a function that
// closes the connections.

// Connections that stay open after they have got many pages.
async function idleConnections(url) {
  const open = await Promise.all(Array.from({ length: 100 }, () => RawConnection.open(url)));
  await Promise.all(open.map(async (connection) => {
    for (let i = 0; i < 40; i++) {
      connection.write(rawRequest(`/streams/${room}/messages?limit=3`, { 'content-length': undefined }, '', 'GET'));
      await connection.answer();
    }
  }));
  return () => open.forEach((connection) => connection.close());
}

async function unreadStreams(url) {
  const sockets = await connections(url, 1500);
  const from = `${await stack.logEpoch()}:0`;
  for (const socket of sockets) {
    socket.on('data', () => socket.bytesRead > 16_000 && socket.pause());
    socket.write(rawRequest(`/streams/${room}/events`, { 'content-length': undefined, 'last-event-id': from }, '', 'GET'));
  }
  await until('each stream has begun', () => sockets.every((s) => s.destroyed || s.isPaused()), 90_000);
  // Requests of this client wait behind pages that the streams have asked for.
  for (let i = 0; i < 3; i++) await until('an answer', async () => (await request(`${url}/streams/${room}/messages`)).status === 200, 60_000);
  return () => sockets.forEach((socket) => socket.destroy());
}

async function unfinishedBodies(url) {
  const sockets = await connections(url, 1000);
  const bytes = Buffer.from(rawRequest('/rpc/send_message', { 'content-length': '1000000' }) + ' '.repeat(700_000));
  for (const socket of sockets) {
    socket.resume();
    socket.write(bytes);
  }
  await until('the bodies are sent', () => sockets.every((s) => s.destroyed || s.writableLength === 0), 60_000);
  return () => sockets.forEach((socket) => socket.destroy());
}

// One reader of a stream in which large messages are sent.
async function largeRing(url) {
  const target = await stack.stream();
  const reader = await Follower.to(url, target);
  for (let sent = 0; sent < 4500; sent += 500) {
    await fill(url, target, 500);
    await reader.received(sent + 500);
  }
  return () => reader.close();
}

const attacks = [
  ['idle connections that have got large pages', idleConnections, SPARE / 2, 'VmRSS'],
  ['event streams that read nothing of their history', unreadStreams, BUDGET + SPARE, 'VmHWM'],
  ['bodies that never end, without a session', unfinishedBodies, BUDGET + SPARE, 'VmHWM'],
  ['a ring of large messages', largeRing, RING + SPARE / 2, 'VmHWM'],
];

for (const [what, attack, limit, measure] of attacks) {
  test(`memory is bounded against ${what}`, { timeout: 180_000 }, async (t) => {
    await withSidecar({}, async (sidecar) => {
      await fillRoom(sidecar.url);
      const first = statusOf(sidecar, 'VmRSS');
      const close = await attack(sidecar.url);
      const more = statusOf(sidecar, measure) - first;
      close();
      t.diagnostic(`${inMiB(first)} before, ${inMiB(more)} more; data ${inMiB(statusOf(sidecar, 'VmData'))}`);
      if (!sanitized) assert.ok(more < limit, `${inMiB(more)} more; at most ${inMiB(limit)} are right`);
    });
  });
}

test('all these attacks at once, under a limit of the system: honest users are served', { timeout: 240_000 }, async (t) => {
  // A slow machine is not what this test looks for.
  const settings = { SEALCAST_GATE_TIMEOUT_MS: '30000', SEALCAST_POSTGRES_TIMEOUT_MS: '60000' };
  await withSidecar({ limit: SYSTEM_LIMIT, settings }, async (sidecar) => {
    const { url } = sidecar;
    await fillRoom(url);
    const chat = await stack.stream();
    const live = await Follower.to(url, chat);
    const from = `${await stack.logEpoch()}:0`;
    let attacking = true;
    let [sent, read] = [0, 0];
    const talk = async () => {
      for (; attacking; await live.received(sent)) {
        const answer = await send(url, stack.user(), message(chat));
        assert.equal(answer.status, 200, answer.text);
        sent++;
      }
    };
    const readHistory = async () => {
      for (; attacking; read++) {
        const page = await request(`${url}/streams/${room}/messages?limit=20`);
        assert.equal(page.status, 200, page.text);
        const late = await Follower.to(url, room, from);
        await late.received(HISTORY);
        late.close();
      }
    };
    const honest = Promise.all([talk(), readHistory()]);
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, sidecar.running ? statusOf(sidecar, 'VmData') : 0)), 20);
    const attacked = Promise.all(attacks.map(([, attack]) => attack(url)));
    const [closing] = await Promise.all([attacked.finally(() => (attacking = false)), honest]);
    clearInterval(watch);
    const metrics = (await request(`${url}/metrics`)).text;
    const held = ['requests', 'answers', 'catch_up', 'rings'].map((of) => valueOf(metrics, `sealcast_memory_held_bytes{class="${of}"}`));
    t.diagnostic(`${sent} messages and ${read} histories meanwhile; held ${held.map(inMiB)}; peak ${inMiB(statusOf(sidecar, 'VmHWM'))}, data at most ${inMiB(most)}`);
    assert.ok(held.reduce((a, b) => a + b) <= BUDGET, `${held} bytes held`);
    for (const of of ['requests', 'catch_up']) {
      assert.ok(valueOf(metrics, `sealcast_memory_shed_total{class="${of}"}`) > 0, `nothing of ${of} was shed`);
    }
    assert.ok(sent > 0 && read > 0, 'no honest user was served');
    for (const close of closing) close();
  });
});

test('a sidecar that gets no more memory from the system ends, and says why', { timeout: 60_000, skip: sanitized }, async () => {
  const settings = { SEALCAST_MEMORY_MAX_BYTES: `${1024 * MiB}`, SEALCAST_GATE_SOCKET: '' };
  const sidecar = await stack.launch(settings, { under: ['prlimit', `--data=${128 * MiB}`] });
  await sidecar.ready();
  const close = await unfinishedBodies(sidecar.url);
  assert.deepEqual(await within('the sidecar ends', sidecar.exited), { code: 1, signal: null }, sidecar.tail());
  assert.match(sidecar.tail(), /sealcastd: the system gives no more memory; lower memory.max_bytes/);
  close();
});

test('a request whose body is shed gets 503 overloaded, and may be repeated', { timeout: 60_000 }, async () => {
  await withSidecar({ settings: { SEALCAST_MEMORY_MAX_BYTES: `${16 * MiB}` } }, async ({ url }) => {
    const bytes = Buffer.from(rawRequest('/rpc/send_message', { 'content-length': '1000000' }) + ' '.repeat(900_000));
    const open = await Promise.all(Array.from({ length: 40 }, () => RawConnection.open(url)));
    for (const connection of open) connection.write(bytes);
    const answer = await Promise.any(open.map((connection) => connection.answer()));
    assert.equal(answer.status, 503);
    assert.equal(JSON.parse(answer.text).code, 'overloaded');
    assert.equal(answer.headers['retry-after'], '1');
    assert.equal((await send(url, stack.user(), message(room))).status, 200);
    for (const connection of open) connection.close();
  });
});

// With heartbeats, unacknowledged bytes show that the reader is gone; without them, probes of TCP do.
for (const [how, heartbeat] of [['while heartbeats are sent', '1000'], ['while nothing is sent', '300000']]) {
  test(`a reader that vanishes without closing its connection is found, ${how}`, { timeout: 120_000 }, async () => {
    const network = await Network.create(['reader']);
    const socket = join(stack.postgres.host, 'vanished.sock');
    const redis = stack.spawn(['redis-server', '--port', '0', '--unixsocket', socket, '--save', '', '--dir', stack.directory]);
    try {
      const inside = network.inside('center');
      const settings = {
        SEALCAST_HTTP_LISTEN: `${network.gateway('reader')}:8080`,
        SEALCAST_GATE_REDIS_URL: `unix://${socket}`,
        SEALCAST_GATE_REDIS_PASSWORD_FILE: '',
        SEALCAST_HTTP_ACK_TIMEOUT_S: '5',
        SEALCAST_SSE_HEARTBEAT_MS: heartbeat,
      };
      await withSidecar({ settings, inside }, async ({ url }) => {
        const readers = async () => {
          const [program, ...rest] = [...inside, 'curl', '-sf', '--max-time', '5', `${url}/metrics`];
          return valueOf((await run(program, rest)).stdout, 'sealcast_sse_subscribers');
        };
        const reader = stack.spawn(['curl', '-sN', `${url}/streams/${room}/events`], { inside: network.inside('reader') });
        await until('the reader is subscribed', async () => (await readers()) === 1);
        await network.cut('reader', 'silent');
        await until('the reader is found to be gone', async () => (await readers()) === 0, 30_000);
        reader.kill('SIGKILL');
      });
    } finally {
      const ended = once(redis, 'close');
      redis.kill('SIGTERM');
      await within('Redis ends', ended);
      await network.close();
    }
  });
}
