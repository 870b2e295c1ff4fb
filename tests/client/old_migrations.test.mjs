// transport_migrate messages that are old or repeated. The transport of an old one may be gone, so it reports no error. A
// repeat does not make a reader try a transport again that has just refused it.
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
let attempts = 0;
const refuse = async () => {
  attempts++;
  throw new SealcastError('transport_refused', 'no', { status: 403 });
};
const refusing = { name: 'refusing', connect: refuse };
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

// Writes transport_migrate messages one at a time, each after the last one has had its whole effect. Returns the number of
// attempts that each message led to.
async function attemptsAfter({ reader, write }, targets) {
  const counts = [];
  for (const target of targets) {
    const [before, reported] = [attempts, reader.errors.length];
    const offset = (reader.offsets.at(-1) ?? 0) + 1;
    write(migrations([target], 0, offset));
    await reader.reached(offset);
    // The random pause of a reader that follows is a timer of the same length. It began earlier, so it ends earlier.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (attempts > before) await reader.until('the refusal is reported', () => reader.errors.length > reported);
    counts.push(attempts - before);
  }
  return counts;
}

test('repeats to a target that refuses are followed after pauses that grow to five minutes, not each time', async (t) => {
  const realNow = Date.now;
  let skipped = 0;
  t.mock.method(Date, 'now', () => realNow() + skipped);
  t.mock.method(Math, 'random', () => 0.999);
  const session = await readerOf([]);
  await session.reader.ready();
  assert.deepEqual(await attemptsAfter(session, ['refusing', 'refusing', 'refusing']), [1, 0, 0]);
  for (const pause of [20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
    skipped += pause - 5000;
    assert.deepEqual(await attemptsAfter(session, ['refusing']), [0], `${pause - 5000} ms after an attempt`);
    skipped += 10_000;
    assert.deepEqual(await attemptsAfter(session, ['refusing', 'refusing']), [1, 0], `${pause + 5000} ms after an attempt`);
  }
  t.mock.method(Math, 'random', () => 0);
  assert.deepEqual(await attemptsAfter(session, ['sse', 'refusing', 'refusing']), [0, 1, 0], 'another target is another migration');
  skipped += 4000;
  assert.deepEqual(await attemptsAfter(session, ['refusing']), [0], 'five seconds pass at least');
  skipped += 1100;
  assert.deepEqual(await attemptsAfter(session, ['refusing']), [1]);
  await session.reader.close();
});
