// A client moves from one region to the next: after which failures, to which region, and without a lost or repeated message.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createClient, SealcastError, sse } from '../../client/index.js';
import { Regions } from '../../client/regions.js';
import { freePort, PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { Proxy } from './proxy.mjs';
import { QUICK, Reader } from './reader.mjs';
import { write } from './stream.mjs';

let stack, first, second; // two proxies, each in front of one sidecar; each represents a region
before(async () => {
  stack = await PrivateStack.create();
  const ports = [await freePort(), await freePort()];
  const heartbeat = { SEALCAST_SSE_HEARTBEAT_MS: '100' };
  const listens = ports.map((port) => ({ SEALCAST_HTTP_LISTEN: `127.0.0.1:${port}`, ...heartbeat }));
  [first, second] = [await Proxy.to(`http://127.0.0.1:${ports[0]}`), await Proxy.to(`http://127.0.0.1:${ports[1]}`)];
  const list = `two ${second.url} 35.65 139.74,one ${first.url} 50.11 8.68`;
  const regions = { SEALCAST_REGIONS_LIST: list, SEALCAST_REGIONS_PROBE_MS: '100' };
  await stack.sidecar({ ...listens[0], ...regions });
  await stack.sidecar({ ...listens[1], ...regions, SEALCAST_GATE_SOCKET: '' });
});
beforeEach(() => {
  for (const proxy of [first, second]) {
    proxy.freeze(false);
    proxy.refuse(false);
  }
});
after(async () => {
  await first?.close();
  await second?.close();
  await stack.close();
});

const clientOf = (more = {}) =>
  createClient({ url: first.url, regions: [second.url], token: stack.user().token(), retry: QUICK, ...more });

test('when a region cannot be reached, this message and the later ones go to the next region', async () => {
  const room = await stack.stream();
  const asked = [];
  const client = clientOf({ fetch: (url, init) => asked.push(new URL(url).origin) && fetch(url, init) });
  assert.equal(client.region, first.url);
  first.refuse();
  const envelope = await client.sendMessage(room, 'chat', { content: 'there' });
  assert.equal(client.region, second.url);
  const another = await client.sendMessage(room, 'chat', { content: 'there too' });
  assert.deepEqual(asked, [first.url, second.url, second.url]);
  assert.deepEqual(new Set(await stack.stored(room)), new Set([envelope.txn_id, another.txn_id]));
});

test('a message whose answer is lost is repeated in the next region and stored once', async () => {
  const room = await stack.stream();
  const client = clientOf();
  first.cutAfter(0);
  const envelope = await client.sendMessage(room, 'chat', { content: 'once' });
  assert.equal(client.region, second.url);
  assert.deepEqual(await stack.stored(room), [envelope.txn_id]);
});

test('a timeout moves a client too, and a failure of the next region moves it back', async () => {
  const room = await stack.stream();
  const client = clientOf({ timeoutMs: 300 });
  first.freeze();
  await client.sendMessage(room, 'chat', { content: '1' });
  assert.equal(client.region, second.url);
  first.freeze(false);
  first.cut();
  second.refuse();
  await client.sendMessage(room, 'chat', { content: '2' });
  assert.equal(client.region, first.url);
});

test('a refusal does not move a client, since every region would refuse', async () => {
  const room = await stack.stream();
  const user = stack.user();
  await stack.query("select sealcast.mute($1, $2, now() + interval '1 hour')", [room, user.id]);
  const client = clientOf({ token: user.token() });
  await assert.rejects(client.sendMessage(room, 'chat', {}), { code: 'user_muted' });
  await assert.rejects(client.sendMessage(room, 'no.such', {}), { code: 'unknown_type' });
  const busy = clientOf();
  await Promise.all(Array.from({ length: 7 }, () => busy.sendMessage(room, 'chat', {})));
  assert.deepEqual([client.region, busy.region], [first.url, first.url], '429 does not move a client either');
});

test('an event stream that ends continues in its region, or in the next one when the region is gone', async () => {
  const room = await stack.stream();
  const client = clientOf();
  const reader = new Reader(client, room);
  await reader.ready();
  await write(stack, room, 5);
  await reader.reached(5);
  first.cut();
  await write(stack, room, 5);
  await reader.reached(10);
  assert.equal(client.region, first.url);
  first.refuse();
  await write(stack, room, 5);
  await reader.reached(15);
  assert.equal(client.region, second.url);
  reader.assertOffsets(1, 15);
  await reader.close();
});

test('an event stream without a byte for silenceMs continues in the next region', async () => {
  const room = await stack.stream();
  const client = clientOf({ transports: [sse({ silenceMs: 500 })] });
  const reader = new Reader(client, room);
  await reader.ready();
  first.freeze();
  await write(stack, room, 5);
  await reader.reached(5);
  assert.equal(client.region, second.url);
  assert.ok(reader.errors.some(({ code }) => code === 'silence'));
  reader.assertOffsets(1, 5);
  await reader.close();
});

test('regions: true takes the list from the server and begins with its first region', async () => {
  const listed = async () => (await (await fetch(`${first.url}/regions`)).json()).regions.map(({ name }) => name).join();
  await until('both regions are healthy', async () => (await listed()) === 'two,one');
  const client = clientOf({ regions: true });
  const room = await stack.stream();
  await client.sendMessage(room, 'chat', { content: '1' });
  assert.equal(client.region, second.url, 'the first of the list, although url names the second');
  second.refuse();
  await client.sendMessage(room, 'chat', { content: '2' });
  assert.equal(client.region, first.url);
  await until('the failed region is left out of the list', async () => (await listed()) === 'one');
});

test('when the server lists no regions, the client keeps its own address', async () => {
  const alone = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  const client = clientOf({ url: `${alone.url}/`, regions: true });
  await client.sendMessage(await stack.stream(), 'chat', {});
  assert.equal(client.region, alone.url);
  await alone.stop();
});

// Regions with a simulated clock and simulated answers of /regions; an answer of null is a failure.
class Simulation {
  constructor(t, url, regions, answers) {
    this.now = 1_000_000;
    t.mock.method(Date, 'now', () => this.now);
    this.asked = [];
    this.regions = new Regions(url, regions, async (from) => {
      this.asked.push(from);
      const answer = answers.shift();
      if (!answer) throw new SealcastError('unreachable', 'gone');
      return { regions: answer.map((url) => ({ url })) };
    });
  }

  // Chooses a region for a request that comes `later` ms from now.
  async choose(later = 0) {
    this.now += later;
    const chosen = await this.regions.choose();
    await null;
    return chosen;
  }

  fails(url) {
    this.regions.failed(url, new SealcastError('unreachable', 'gone'));
  }
}

const MINUTE = 60_000;

test('the first request after five minutes returns to the first region', async (t) => {
  const simulation = new Simulation(t, 'https://a', ['https://b', 'https://c']);
  simulation.fails('https://a');
  assert.equal(await simulation.choose(), 'https://b');
  simulation.fails('https://b');
  assert.equal(await simulation.choose(4.9 * MINUTE), 'https://c');
  assert.equal(await simulation.choose(0.2 * MINUTE), 'https://a');
  simulation.fails('https://a');
  assert.equal(await simulation.choose(4.9 * MINUTE), 'https://b');
});

test('several requests that fail together move the client once', (t) => {
  const simulation = new Simulation(t, 'https://a/', ['https://b/', 'https://c']);
  for (let i = 0; i < 3; i++) simulation.fails('https://a');
  assert.equal(simulation.regions.current, 'https://b');
});

test('a missing answer moves the client, and so does a 5xx about the region', (t) => {
  const moves = (code, status) => {
    const simulation = new Simulation(t, 'https://a', ['https://b']);
    const error = new SealcastError(code, 'x', { status, retryAfterMs: 60_000 });
    simulation.regions.failed('https://a', error);
    const moved = simulation.regions.current === 'https://b';
    assert.equal(error.retryAfterMs, moved ? null : 60_000, 'the pause is cleared when the client moves');
    return moved;
  };
  const moved = { unreachable: 0, timeout: 0, silence: 0, unexpected_answer: 502, database_unavailable: 503, gate_unavailable: 503 };
  const stay = { connection_lost: 0, closed: 0, overloaded: 503, txn_in_progress: 503, no_partition: 503, database_full: 503, rate_limited: 429, user_banned: 403, stream_not_found: 404, unexpected_answer: 200 };
  for (const [code, status] of Object.entries(moved)) assert.ok(moves(code, status), code);
  assert.ok(moves('unexpected_answer', 404), 'a proxy that does not know its sidecar');
  for (const [code, status] of Object.entries(stay)) assert.ok(!moves(code, status), code);
  const simulation = new Simulation(t, 'https://a', ['https://b']);
  simulation.regions.failed('https://a', new Error('the caller aborted'));
  assert.equal(simulation.regions.current, 'https://a');
});

test('the list is read once, again when it is old or 30 seconds after a failure, and never moves from TLS to no TLS', async (t) => {
  const lists = [['https://b', 'http://d', 'https://a/'], ['https://a', 'https://c'], null, ['https://c']];
  const simulation = new Simulation(t, 'https://a', true, lists);
  assert.deepEqual(await Promise.all([simulation.choose(), simulation.choose()]), ['https://b', 'https://b']);
  assert.equal(await simulation.choose(4 * MINUTE), 'https://b');
  assert.deepEqual(simulation.asked, ['https://a']);
  simulation.fails('https://b');
  assert.equal(await simulation.choose(), 'https://a', 'not http://d');
  assert.deepEqual(simulation.asked, ['https://a'], 'the list is not read again at once');
  await simulation.choose(MINUTE / 2);
  assert.deepEqual(simulation.asked, ['https://a', 'https://a']);
  await simulation.choose(6 * MINUTE);
  assert.equal(simulation.asked.length, 3);
  assert.equal(await simulation.choose(MINUTE / 4), 'https://a', 'after a failed request the old list stays in use');
  assert.equal(simulation.asked.length, 3);
  simulation.fails('https://a');
  assert.equal(await simulation.choose(), 'https://c');
  await simulation.choose(MINUTE / 2);
  assert.equal(simulation.asked.length, 4);
  simulation.fails('https://c');
  assert.equal(await simulation.choose(), 'https://a', 'its own address is the last resort');
});

test('the first request waits for the list, and goes to its own address when the list cannot be read', async (t) => {
  const simulation = new Simulation(t, 'http://a', true, [null, ['http://b']]);
  assert.equal(await simulation.choose(), 'http://a');
  assert.equal(await simulation.choose(MINUTE), 'http://a', 'this request does not wait for the new list');
  assert.equal(await simulation.choose(), 'http://b', 'the next request uses the new list');
});
