// Going from one region to the next: which failures move a client, where it lands, and that nothing is lost or doubled.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createClient, SealcastError, sse } from '../../client/index.js';
import { Regions } from '../../client/regions.js';
import { freePort, PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { Proxy } from './proxy.mjs';
import { QUICK, Reader } from './reader.mjs';
import { write } from './stream.mjs';

let stack, first, second; // proxies, each in front of a sidecar that stands for a region
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

test('a region that cannot be reached: the message goes to the next, and so does what follows', async () => {
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

test('an answer that is lost with the region: the next one repeats it, and there is one message', async () => {
  const room = await stack.stream();
  const client = clientOf();
  first.cutAfter(0);
  const envelope = await client.sendMessage(room, 'chat', { content: 'once' });
  assert.equal(client.region, second.url);
  assert.deepEqual(await stack.stored(room), [envelope.txn_id]);
});

test('no answer in time moves a client too; when the next region fails, it comes back', async () => {
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

test('a verdict is the same everywhere: nobody moves', async () => {
  const room = await stack.stream();
  const user = stack.user();
  await stack.query("select sealcast.mute($1, $2, now() + interval '1 hour')", [room, user.id]);
  const client = clientOf({ token: user.token() });
  await assert.rejects(client.sendMessage(room, 'chat', {}), { code: 'user_muted' });
  await assert.rejects(client.sendMessage(room, 'no.such', {}), { code: 'unknown_type' });
  const busy = clientOf();
  await Promise.all(Array.from({ length: 7 }, () => busy.sendMessage(room, 'chat', {})));
  assert.deepEqual([client.region, busy.region], [first.url, first.url], 'nor for 429');
});

test('a stream that ends goes on in its region; one whose region is gone goes on in the next', async () => {
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
  reader.isWhole(1, 15);
  await reader.close();
});

test('a region that falls silent is left, by what was open too', async () => {
  const room = await stack.stream();
  const client = clientOf({ transports: [sse({ silenceMs: 500 })] });
  const reader = new Reader(client, room);
  await reader.ready();
  first.freeze();
  await write(stack, room, 5);
  await reader.reached(5);
  assert.equal(client.region, second.url);
  assert.ok(reader.errors.some(({ code }) => code === 'silence'));
  reader.isWhole(1, 5);
  await reader.close();
});

test('regions: true asks the server, whose first is home', async () => {
  const listed = async () => (await (await fetch(`${first.url}/regions`)).json()).regions.map(({ name }) => name).join();
  await until('both are healthy', async () => (await listed()) === 'two,one');
  const client = clientOf({ regions: true });
  const room = await stack.stream();
  await client.sendMessage(room, 'chat', { content: '1' });
  assert.equal(client.region, second.url, 'the first of the list, though another was given');
  second.refuse();
  await client.sendMessage(room, 'chat', { content: '2' });
  assert.equal(client.region, first.url);
  await until('it is left out of the list', async () => (await listed()) === 'one');
});

test('a server that tells none, or is no such server: its own address stays', async () => {
  const alone = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
  const client = clientOf({ url: `${alone.url}/`, regions: true });
  await client.sendMessage(await stack.stream(), 'chat', {});
  assert.equal(client.region, alone.url);
  await alone.stop();
});

// The clock is the test's from here on.
class Trial {
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

  // The next request is `later` ms from now.
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

test('home again with the first request after five minutes, not before', async (t) => {
  const trial = new Trial(t, 'https://a', ['https://b', 'https://c']);
  trial.fails('https://a');
  assert.equal(await trial.choose(), 'https://b');
  trial.fails('https://b');
  assert.equal(await trial.choose(4.9 * MINUTE), 'https://c');
  assert.equal(await trial.choose(0.2 * MINUTE), 'https://a');
  trial.fails('https://a');
  assert.equal(await trial.choose(4.9 * MINUTE), 'https://b');
});

test('several requests that fail together are one failure', (t) => {
  const trial = new Trial(t, 'https://a/', ['https://b/', 'https://c']);
  for (let i = 0; i < 3; i++) trial.fails('https://a');
  assert.equal(trial.regions.current, 'https://b');
});

test('which errors move: no answer, and 5xx that is about the region', (t) => {
  const moves = (code, status) => {
    const trial = new Trial(t, 'https://a', ['https://b']);
    const error = new SealcastError(code, 'x', { status, retryAfterMs: 60_000 });
    trial.regions.failed('https://a', error);
    const moved = trial.regions.current === 'https://b';
    assert.equal(error.retryAfterMs, moved ? null : 60_000, 'the next region has not asked for a pause');
    return moved;
  };
  const moved = { unreachable: 0, timeout: 0, silence: 0, unexpected_answer: 502, database_unavailable: 503, gate_unavailable: 503 };
  const stay = { connection_lost: 0, closed: 0, overloaded: 503, txn_in_progress: 503, rate_limited: 429, user_banned: 403 };
  for (const [code, status] of Object.entries(moved)) assert.ok(moves(code, status), code);
  for (const [code, status] of Object.entries(stay)) assert.ok(!moves(code, status), code);
  const trial = new Trial(t, 'https://a', ['https://b']);
  trial.regions.failed('https://a', new Error('the caller aborted'));
  assert.equal(trial.regions.current, 'https://a');
});

test('the list: asked for once, again when it is stale or a failure is past, and never less TLS', async (t) => {
  const lists = [['https://b', 'http://d', 'https://a/'], ['https://a', 'https://c'], null, ['https://c']];
  const trial = new Trial(t, 'https://a', true, lists);
  assert.deepEqual(await Promise.all([trial.choose(), trial.choose()]), ['https://b', 'https://b']);
  assert.equal(await trial.choose(4 * MINUTE), 'https://b');
  assert.deepEqual(trial.asked, ['https://a']);
  trial.fails('https://b');
  assert.equal(await trial.choose(), 'https://a', 'not http://d');
  assert.deepEqual(trial.asked, ['https://a'], 'all the others have failed too');
  await trial.choose(MINUTE / 2);
  assert.deepEqual(trial.asked, ['https://a', 'https://a']);
  await trial.choose(6 * MINUTE);
  assert.equal(trial.asked.length, 3);
  assert.equal(await trial.choose(MINUTE / 4), 'https://a', 'no answer: what is known stays');
  assert.equal(trial.asked.length, 3);
  trial.fails('https://a');
  assert.equal(await trial.choose(), 'https://c');
  await trial.choose(MINUTE / 2);
  assert.equal(trial.asked.length, 4);
  trial.fails('https://c');
  assert.equal(await trial.choose(), 'https://a', 'its own address is the last resort');
});

test('before there is a list, a request waits for it; without one it goes to its own address', async (t) => {
  const trial = new Trial(t, 'http://a', true, [null, ['http://b']]);
  assert.equal(await trial.choose(), 'http://a');
  assert.equal(await trial.choose(MINUTE), 'http://a', 'the list comes too late for this one');
  assert.equal(await trial.choose(), 'http://b', 'but for the next one');
});
