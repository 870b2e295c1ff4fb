// Numbers of milliseconds that a timer cannot hold, from servers and from the caller: they mean "long", never "at once".
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { backoff } from '../../client/backoff.js';
import { createClient, sse } from '../../client/index.js';
import { startTimer } from '../../client/timers.js';
import { EVENTS_TYPE, seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { QUICK, Reader } from './reader.mjs';

const OBSERVED_MS = 400; // an endless loop makes dozens of requests in this time
const OVERLOADED = { code: 'overloaded', message: 'm', details: null, hint: null };
const FAR = [['2592000'], ['99999999999999999999'], [new Date(Date.now() + 90 * 86_400_000).toUTCString()]];

test('a timer of any length, even Infinity, does not fire at once; 0, negative numbers and NaN do', async () => {
  const fired = [];
  const stops = [2 ** 31, 2 ** 40, Infinity, 0, -1, NaN].map((ms) => startTimer(ms, () => fired.push(ms)));
  await pause(50);
  for (const stop of stops) stop();
  assert.deepEqual(fired, [0, -1, NaN]);
});

test('timers.js alone calls setTimeout()', async () => {
  const directory = fileURLToPath(new URL('../../client/', import.meta.url));
  const files = await readdir(directory, { recursive: true });
  const starting = [];
  for (const file of files.filter((name) => name.endsWith('.js') && !name.includes('node_modules'))) {
    const code = (await readFile(directory + file, 'utf8')).replace(/\/\/.*$/gm, '');
    if (/\bset(Timeout|Interval)\(|AbortSignal\.timeout\(/.test(code)) starting.push(file);
  }
  assert.deepEqual(starting, ['timers.js']);
});

test('a pause is a number after any number of attempts and for any options', () => {
  for (const attempt of [0, 1, 60, 1024, 1e6]) {
    for (const options of [{}, { baseMs: 0 }, { baseMs: Infinity }, { capMs: Infinity }, { baseMs: 0, capMs: Infinity, spreadMs: 0 }]) {
      assert.ok(backoff(attempt, options) >= 0, `${attempt} ${JSON.stringify(options)}`);
    }
  }
});

for (const [retryAfter] of FAR) {
  test(`Retry-After: ${retryAfter} is one request each of a sender and a reader, not a loop`, async () => {
    const { url, requests } = await serveAnswers((_, response) => sendJson(response, OVERLOADED, 503, { 'retry-after': retryAfter }));
    const client = createClient({ url, token: 'x', retry: QUICK });
    const stop = new AbortController();
    const sent = client.sendMessage(randomUUID(), 'chat', {}, { giveUpAfterMs: Infinity, signal: stop.signal });
    const reader = new Reader(client, randomUUID());
    await reader.until('the reader has failed once', () => reader.errors.length > 0);
    await pause(OBSERVED_MS);
    stop.abort(new Error('the test is over'));
    await assert.rejects(sent, /the test is over/);
    await reader.close();
    assert.deepEqual(requests.map(({ method }) => method).sort(), ['GET', 'POST']);
  });
}

test('timeoutMs, silenceMs and patienceMs may be Infinity', async () => {
  const room = randomUUID();
  const { url, requests } = await serveAnswers((request, response, body) => {
    if (request.method === 'POST') return setTimeout(() => sendJson(response, seal(body)), 50);
    response.writeHead(200, EVENTS_TYPE).write('id: e1:7\n\n');
  });
  const client = createClient({ url, token: 'x', timeoutMs: Infinity, transports: [sse({ silenceMs: Infinity })] });
  const reader = new Reader(client, room, { patienceMs: Infinity, quietMs: Infinity, spreadMs: Infinity });
  await reader.ready();
  await client.sendMessage(room, 'chat', {}, { giveUpAfterMs: Infinity });
  await pause(OBSERVED_MS);
  await reader.close();
  assert.deepEqual(reader.errors, []);
  assert.equal(requests.length, 2);
});

test('quietMs: Infinity never reads the history on a transport that does not resume', async () => {
  const { url, requests } = await serveAnswers((_, response) => sendJson(response, { messages: [], first: 1, last: 0, epoch: 'e1' }));
  const pigeon = {
    name: 'pigeon',
    connect: (_, { signal, onConnected }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
        onConnected();
      }),
  };
  const reader = new Reader(createClient({ url, transports: [pigeon] }), randomUUID(), { quietMs: Infinity });
  await reader.ready();
  await pause(OBSERVED_MS);
  await reader.close();
  assert.equal(requests.length, 1, 'the request that finds the start');
});

test('overlapMs and migrateTimeoutMs may be Infinity', async () => {
  const { url } = await serveAnswers((_, response) => response.writeHead(200, EVENTS_TYPE).write('id: e1:7\n\n'));
  const other = { ...sse(), name: 'other' };
  const reader = new Reader(createClient({ url, transports: [sse(), other] }), randomUUID(), { migrateTimeoutMs: Infinity });
  await reader.ready();
  const outcome = reader.subscription.migrate('other', { overlapMs: Infinity }).catch(({ code }) => code);
  assert.equal(await Promise.race([outcome, pause(OBSERVED_MS, 'still reading both')]), 'still reading both');
  await reader.close();
  assert.equal(await outcome, 'closed');
});
