// transport_migrate messages that a reader finds in the history: what they name may be long gone, so they report no error.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createClient, SealcastError, sse } from '../../client/index.js';
import { until } from '../integration/waiting.mjs';
import { EVENTS_TYPE, seal, serveAnswers } from './foreign_server.mjs';
import { Reader } from './reader.mjs';

const DAY_MS = 86_400_000;
const SYSTEM = '00000000-0000-0000-0000-000000000000';
const room = randomUUID();

// Frames 1, 2, 3, …, one for each target; `age` in ms.
function migrations(targets, age, first = 1) {
  return targets.map((target, index) => {
    const envelope = seal(JSON.stringify({ stream_id: room, t: 'transport_migrate', d: { target, overlap_ms: 50 }, txn_id: randomUUID() }));
    return { offset: first + index, prev: first + index - 1, envelope: { ...envelope, s: SYSTEM, ts: Date.now() - age } };
  });
}

const eventsOf = (frames) => frames.map((frame) => `id: e1:${frame.offset}\ndata: ${JSON.stringify(frame)}\n\n`).join('');

// A transport that the server refuses a token for, and one that connects.
const refusing = { name: 'refusing', connect: async () => Promise.reject(new SealcastError('transport_refused', 'no', { status: 403 })) };
const other = { ...sse(), name: 'other' };

async function readerOf(frames) {
  let events;
  const { url } = await serveAnswers((_, response) => {
    events = response;
    response.writeHead(200, EVENTS_TYPE).write(`id: e1:0\n\n${eventsOf(frames)}`);
  });
  const client = createClient({ url, transports: [sse(), refusing, other] });
  const reader = new Reader(client, room, { from: 0 });
  return { reader, write: (later) => events.write(eventsOf(later)) };
}

test('old migrations to an unknown transport, to one that refuses, and to and fro report no error', async () => {
  const targets = ['pigeon', 'refusing', 'pigeon', 'other', 'refusing', 'sse'];
  const { reader, write } = await readerOf(migrations(targets, DAY_MS));
  await reader.reached(targets.length);
  await reader.subscription.migrate('other', { overlapMs: 0 }); // runs after those that the messages have begun
  assert.deepEqual(reader.errors, []);
  write([]);
  await reader.close();
});

test('a new migration to an unknown transport is reported, also after an old one to it', async () => {
  const { reader, write } = await readerOf(migrations(['pigeon', 'refusing'], DAY_MS));
  await reader.reached(2);
  await reader.subscription.migrate('sse'); // ends the migration that the old message has begun
  write(migrations(['pigeon', 'refusing'], 0, 3));
  await reader.until('both are reported', () => reader.errors.length === 2);
  assert.deepEqual(reader.errors.map(({ code }) => code), ['transport_unknown', 'transport_refused']);
  await reader.close();
});

test('an old migration that can be followed is followed', async () => {
  const { reader } = await readerOf(migrations(['other'], DAY_MS));
  await until('the reader is on the other transport', () => reader.subscription.status === 'live' && reader.offsets.length === 1);
  await reader.until('it has moved', () => reader.notes.some(([name, to]) => name === 'transport' && to === 'other'), 10_000);
  assert.deepEqual(reader.errors, []);
  await reader.close();
});
