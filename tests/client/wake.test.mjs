// A page that wakes: pauses end early, and connections are checked. The events of a page are imitated in Node.js.
// browser.test.mjs has a real page.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { pauseUntilWake } from '../../client/backoff.js';
import { createClient, sse } from '../../client/index.js';
import { until, within } from '../integration/waiting.mjs';
import { EVENTS_TYPE, seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { Reader } from './reader.mjs';

const OVERLOADED = { code: 'overloaded', message: 'm', details: null, hint: null };
const LONG = { baseMs: 10, capMs: 10, spreadMs: 1e9 };

let listeners, random;
beforeEach(() => {
  random = Math.random;
  Math.random = () => 0.9; // so that pauses are long
  listeners = 0;
  const counting = (target) => ({
    addEventListener: (...args) => ((listeners += 1), target.addEventListener(...args)),
    removeEventListener: (...args) => ((listeners -= 1), target.removeEventListener(...args)),
    dispatchEvent: (event) => target.dispatchEvent(event),
  });
  Object.assign(globalThis, counting(new EventTarget()));
  globalThis.document = { ...counting(new EventTarget()), visibilityState: 'visible' };
});
afterEach(() => {
  Math.random = random;
  for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent', 'document']) delete globalThis[name];
});

const WAKES = {
  online: () => globalThis.dispatchEvent(new Event('online')),
  pageshow: () => globalThis.dispatchEvent(new Event('pageshow')),
  visibilitychange: () => document.dispatchEvent(new Event('visibilitychange')),
};

for (const [event, wake] of Object.entries(WAKES)) {
  test(`${event} makes a sender and a reader try again at once`, async () => {
    let down = true;
    const { url } = await serveAnswers((request, response, body) => {
      if (down) return sendJson(response, OVERLOADED, 503);
      if (request.method === 'POST') return sendJson(response, seal(body));
      response.writeHead(200, EVENTS_TYPE).write('id: e1:7\n\n');
    });
    const client = createClient({ url, token: 'x', retry: LONG });
    const sent = client.sendMessage(randomUUID(), 'chat', {}, { giveUpAfterMs: Infinity });
    const reader = new Reader(client, randomUUID(), { reconnect: LONG });
    await until('both pause', () => reader.errors.length === 1 && listeners >= 2 * Object.keys(WAKES).length);
    await pause(50);
    down = false;
    wake();
    await reader.ready();
    await within('the message is sent', sent);
    await reader.close();
    assert.equal(listeners, 0, 'no listener is left behind');
  });
}

test('a page that is hidden does not wake', async () => {
  const stop = new AbortController();
  const waiting = pauseUntilWake(60_000, 0, stop.signal).then(() => 'woken', ({ message }) => message);
  document.visibilityState = 'hidden';
  WAKES.visibilitychange();
  assert.equal(await Promise.race([waiting, pause(50, 'asleep')]), 'asleep');
  stop.abort(new Error('stopped'));
  assert.equal(await waiting, 'stopped');
  assert.equal(listeners, 0);
});

test('a page that wakes still waits as long as the server asked for', async () => {
  const began = Date.now();
  const waiting = pauseUntilWake(60_000, 300);
  WAKES.online();
  await waiting;
  assert.ok(Date.now() - began >= 295, `${Date.now() - began} ms`);
});

test('a page that wakes replaces an event stream that was silent for longer than a heartbeat, and keeps another', async () => {
  const { url, requests } = await serveAnswers((_, response) => response.writeHead(200, EVENTS_TYPE).write('id: e1:7\n\n'));
  const reader = new Reader(createClient({ url, transports: [sse()] }), randomUUID());
  await reader.ready();
  WAKES.online();
  await pause(50);
  assert.equal(reader.subscription.status, 'live');
  const now = Date.now;
  Date.now = () => now() + 21_000; // the page slept, and its timers with it
  try {
    WAKES.pageshow();
    await reader.until('a second event stream', () => reader.statuses.join() === 'live,reconnecting,live');
  } finally {
    Date.now = now;
  }
  assert.deepEqual(reader.errors.map(({ code }) => code), ['connection_lost']);
  assert.equal(requests.length, 2);
});

test('a page that wakes gives its event stream up if the next heartbeat does not come, and keeps it if it comes', async () => {
  const responses = [];
  const { url } = await serveAnswers((_, response) => {
    responses.push(response);
    response.writeHead(200, EVENTS_TYPE).write('id: e1:7\n\n');
  });
  const reader = new Reader(createClient({ url, transports: [sse()] }), randomUUID());
  await reader.ready();
  const now = Date.now;
  try {
    Date.now = () => now() + 19_700; // 300 ms before the heartbeat is overdue
    WAKES.online();
    responses[0].write(':\n\n');
    await pause(500);
    assert.deepEqual(reader.statuses, ['live']);
    Date.now = () => now() + 2 * 19_700;
    WAKES.online();
    await reader.until('the event stream is given up', () => reader.errors.length > 0, 2000);
  } finally {
    Date.now = now;
  }
  assert.deepEqual(reader.errors.map(({ code }) => code), ['connection_lost']);
});

test('a page that wakes reads the history on a transport that does not resume', async () => {
  const page = { messages: [], first: 1, last: 0, epoch: 'e1' };
  const { url, requests } = await serveAnswers((_, response) => sendJson(response, page));
  const pigeon = {
    name: 'pigeon',
    connect: (_, { signal, onConnected }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
        onConnected();
      }),
  };
  const reader = new Reader(createClient({ url, transports: [pigeon] }), randomUUID(), { quietMs: 0 });
  await reader.ready();
  const before = requests.length;
  WAKES.visibilitychange();
  await until('the history is read', () => requests.length > before);
  await reader.close();
  assert.equal(listeners, 0);
});
