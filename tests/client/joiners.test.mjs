// What a reader that comes late learns from the state of the stream: on which transport the stream is, and that it is sampled.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createClient, SealcastError } from '../../client/index.js';
import { seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { QUICK, Reader } from './reader.mjs';

const SYSTEM = '00000000-0000-0000-0000-000000000000';
const HOUR = 3_600_000;
const room = randomUUID();
const sealed = (t, d) => seal(JSON.stringify({ stream_id: room, t, d, txn_id: randomUUID() }));
const frame = (offset, t = 'chat', d = { n: offset }) => ({ offset, prev: offset - 1, envelope: sealed(t, d) });
const ofSystem = (offset, t, d, age = HOUR) => ({ ...frame(offset), envelope: { ...sealed(t, d), s: SYSTEM, ts: Date.now() - age } });
const moveTo = (target, offset = 3, age = HOUR) => ofSystem(offset, 'transport_migrate', { target, overlap_ms: 0, spread_ms: 600_000 }, age);
const handed = (reader) => reader.frames.map(({ offset, retained }) => (retained ? `${offset} retained` : `${offset}`));

// Drivers that connect at once, unless they refuse. `connected` has the names in order; feed(frame) is a frame of the first.
function lines(...refusing) {
  const those = { connected: [], refusing: new Set(refusing) };
  const driver = (name) => ({
    name,
    connect: async (_, context) => {
      those.connected.push(name);
      if (those.refusing.has(name)) throw new SealcastError('transport_refused', 'no', { status: 403 });
      if (name === 'near') those.feed = context.onFrame;
      context.onConnected();
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
    },
  });
  return Object.assign(those, { transports: ['near', 'far', 'third'].map(driver) });
}

// A reader of a stream whose newest offset is 5. `state()` may be a promise.
async function join({ transports }, state, { history = {}, ...options } = {}) {
  const { url } = await serveAnswers(async (request, response, body) => {
    if (request.url.includes('/state')) return sendJson(response, { messages: await state(), last: 5, epoch: 'e1' });
    if (request.method === 'POST') return sendJson(response, seal(body));
    return sendJson(response, { messages: [], first: 1, last: 5, epoch: 'e1', ...history });
  });
  const client = createClient({ url, token: 'session', retry: QUICK, transports });
  return { client, reader: new Reader(client, room, options) };
}

const uses = (reader, name) => reader.until(`it uses ${name}`, () => reader.subscription.transport === name);

for (const [what, options, shown] of [['a late joiner', {}, ['3 retained']], ['a reader that goes on from an offset', { from: 'e1:5' }, []]]) {
  test(`${what} moves at once to the transport that the state names, whatever the spread was`, async () => {
    const those = lines();
    const { reader } = await join(those, () => [moveTo('far')], options);
    await uses(reader, 'far');
    assert.deepEqual(those.connected, ['near', 'far']);
    assert.deepEqual([handed(reader), reader.errors], [shown, []]);
  });
}

test('a late joiner that comes during the move waits for a part of the time that is left', async (t) => {
  const waits = [];
  const those = lines();
  const real = setTimeout;
  t.mock.method(globalThis, 'setTimeout', (callback, ms, ...rest) => (waits.push(ms), real(callback, ms, ...rest)));
  t.mock.method(Math, 'random', () => 0.5);
  const { reader } = await join(those, () => [moveTo('far', 3, 400_000)]);
  await reader.reached(3);
  await reader.ready();
  assert.deepEqual(those.connected, ['near']);
  const wait = waits.find((ms) => ms > 90_000);
  assert(wait <= 100_000, `half of the 200 seconds that are left: ${wait} ms`);
});

test('a late joiner without a driver for the transport of the stream learns it', async () => {
  const { reader } = await join(lines(), () => [moveTo('pigeon')]);
  await reader.until('it is reported', () => reader.errors.length > 0);
  assert.deepEqual(reader.errors.map(({ code }) => code), ['transport_unknown']);
});

test('a reader that the target refused tries again by itself', { timeout: 60_000 }, async (t) => {
  t.mock.method(Math, 'random', () => 0); // the shortest pause, five seconds
  const those = lines('far');
  const { reader } = await join(those, () => [moveTo('far')]);
  await reader.until('the refusal is reported', () => reader.errors.some(({ code }) => code === 'transport_refused'));
  those.refusing.clear();
  await uses(reader, 'far');
  assert.deepEqual(those.connected, ['near', 'far', 'far']);
});

test('it does not when the application has moved it meanwhile', { timeout: 60_000 }, async (t) => {
  t.mock.method(Math, 'random', () => 0);
  const pauses = [];
  const real = setTimeout;
  t.mock.method(globalThis, 'setTimeout', (callback, ms, ...rest) => {
    const timer = real(callback, ms, ...rest);
    if (ms === 5000) pauses.push(timer);
    return timer;
  });
  const those = lines('far');
  const { reader } = await join(those, () => [moveTo('far')]);
  await reader.until('the refusal is reported', () => reader.errors.some(({ code }) => code === 'transport_refused'));
  assert.deepEqual(pauses.map((timer) => timer._destroyed), [false], 'the next attempt is due');
  await reader.subscription.migrate('third', { overlapMs: 0 });
  assert.deepEqual(pauses.map((timer) => timer._destroyed), [true]);
});

test('a newer transport_migrate counts, although the state comes later; its sampling rate makes own messages visible', async () => {
  const those = lines();
  let release;
  const late = new Promise((resolve) => (release = resolve));
  const state = async () => (await late, [moveTo('far', 3), ofSystem(4, 'sampling_update', { active: true, rate: 0 })]);
  const { client, reader } = await join(those, state, { from: 'e1:5' });
  await reader.ready();
  those.feed(moveTo('near', 6, 0));
  await reader.reached(6);
  await client.sendMessage(room, 'chat', { content: 'mine' });
  assert.deepEqual(handed(reader), ['6'], 'the rate is not known yet');
  release();
  await reader.until('the own message', () => reader.frames.length === 2);
  assert.deepEqual(handed(reader), ['6', 'null']);
  assert.deepEqual(those.connected, ['near']);
});

test('after frames that retention dropped, a reader learns where the stream is', async () => {
  const those = lines();
  const states = [[], [moveTo('far', 7)]];
  const { reader } = await join(those, () => states.shift(), { history: { first: 9, last: 9 }, patienceMs: 0 });
  await reader.ready();
  those.feed(frame(9));
  await uses(reader, 'far');
  assert.deepEqual(reader.notes.filter(([name]) => name === 'dropped'), [['dropped', { from: 6, to: 8 }]]);
});

test('a late joiner whose transport is down learns from the state where the stream is', { timeout: 60_000 }, async () => {
  const those = lines();
  those.transports[0].connect = async () => {
    throw new SealcastError('connection_lost', 'the broker is down');
  };
  const { reader } = await join(those, () => [moveTo('far')], { reconnect: { baseMs: 60_000, capMs: 60_000 } });
  await uses(reader, 'far');
  assert.deepEqual(handed(reader), ['3 retained']);
});
