// The queue of messages to one stream: order, bound, and that one message or stream does not hold up another.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from '../../client/index.js';
import { until, within } from '../integration/waiting.mjs';
import { seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { QUICK } from './reader.mjs';

const clientOf = (url, more) => createClient({ url, token: 'x', retry: QUICK, ...more });
const refusal = (code) => ({ code, message: 'm', details: null, hint: null });
const outcomeOf = (sent) => sent.then(() => 'sent', ({ code, message }) => code ?? message);

// A server that reads the number n of each message. `late` delays some answers, `answers` gives others than 200.
async function numbered({ late = () => 0, status = () => 200 } = {}) {
  const stored = [];
  const { url, requests } = await serveAnswers(async (_, response, body) => {
    const { n } = JSON.parse(body).d;
    const [code, attempt] = [status(n), requests.filter((request) => JSON.parse(request.body).d.n === n).length];
    if (late(n, attempt) === NEVER) return;
    await pause(late(n, attempt));
    if (typeof code === 'function' ? code(attempt) : code !== 200) {
      const number = typeof code === 'function' ? 503 : code;
      return sendJson(response, refusal(number === 503 ? 'overloaded' : 'user_muted'), number);
    }
    stored.push(n);
    sendJson(response, seal(body));
  });
  return { url, requests, stored };
}

const NEVER = Infinity;
const range = (count) => Array.from({ length: count }, (_, n) => n);

test('messages that are sent at once arrive in the order of the calls, also when some are refused and repeated', async () => {
  const fickle = (attempt) => attempt < 3;
  const { url, stored } = await numbered({ late: (n) => (20 - n) * 3, status: (n) => (n % 4 === 1 ? fickle : 200) });
  const client = clientOf(url);
  const room = randomUUID();
  const sent = range(20).map((n) => client.sendMessage(n % 2 ? room.toUpperCase() : room, 'chat', { n }));
  const answered = [];
  sent.forEach((each, n) => each.then(() => answered.push(n)));
  await Promise.all(sent);
  assert.deepEqual(stored, range(20));
  assert.deepEqual(answered, range(20));
});

test('a message is what it was at the call, although it waits', async () => {
  const { url, requests } = await numbered({ late: () => 30 });
  const client = clientOf(url);
  const d = { n: 0 };
  const room = randomUUID();
  const sent = range(3).map((n) => client.sendMessage(room, 'chat', Object.assign(d, { n })));
  d.n = 99;
  await Promise.all(sent);
  assert.deepEqual(requests.map(({ body }) => JSON.parse(body).d.n), [0, 1, 2]);
});

test('a message that fails finally, gives up or is aborted holds up and fails no other', async () => {
  const { url, stored } = await numbered({ status: (n) => ({ 1: 403, 3: 503 })[n] ?? 200, late: (n) => (n === 0 ? 300 : 0) });
  const client = clientOf(url);
  const room = randomUUID();
  const stop = new AbortController();
  const options = { 2: { signal: stop.signal }, 3: { giveUpAfterMs: 600 }, 4: { giveUpAfterMs: 100 } };
  const sent = range(6).map((n) => client.sendMessage(room, 'chat', { n }, options[n]));
  const outcomes = sent.map(outcomeOf);
  stop.abort(new Error('the user left'));
  assert.equal(await within('an aborted message ends at once', outcomes[2], 200), 'the user left');
  assert.deepEqual(await Promise.all(outcomes), ['sent', 'user_muted', 'the user left', 'overloaded', 'not_sent', 'sent']);
  assert.deepEqual(stored, [0, 5]);
  const late = await sent[4].catch((error) => error);
  assert.match(late.txnId, /^[0-9a-f-]{36}$/);
  assert.match(late.message, /waited 100 ms for earlier messages/);
});

test('a message that leaves the queue does not let the next one pass the earlier ones', async () => {
  const { url, stored } = await numbered({ late: (n) => (n === 0 ? 200 : 0) });
  const client = clientOf(url);
  const room = randomUUID();
  const stop = new AbortController();
  const sent = range(3).map((n) => client.sendMessage(room, 'chat', { n }, n === 1 ? { signal: stop.signal } : {}));
  const outcomes = Promise.all(sent.map(outcomeOf));
  stop.abort(new Error('gone'));
  await outcomes;
  assert.deepEqual(stored, [0, 2]);
});

test('a slow stream does not hold up another', async () => {
  const { url, stored } = await numbered({ late: (n) => (n < 10 ? NEVER : 0) });
  const client = clientOf(url);
  const [slow, quick] = [randomUUID(), randomUUID()];
  const stop = new AbortController();
  const waiting = range(3).map((n) => outcomeOf(client.sendMessage(slow, 'chat', { n }, { signal: stop.signal })));
  await Promise.all(range(3).map((n) => client.sendMessage(quick, 'chat', { n: 10 + n })));
  assert.deepEqual(stored, [10, 11, 12]);
  stop.abort(new Error('enough'));
  assert.deepEqual(await Promise.all(waiting), Array(3).fill('enough'));
});

test('at the bound a further message to the stream is rejected at once, and later ones are sent again', async () => {
  let holding = true;
  const { url, stored } = await numbered({ status: () => () => holding });
  const client = clientOf(url, { maxQueued: 3 });
  const [room, other] = [randomUUID(), randomUUID()];
  const sent = range(3).map((n) => client.sendMessage(room, 'chat', { n }));
  const error = await within('the fourth is rejected', client.sendMessage(room, 'chat', { n: 3 }).catch((e) => e), 100);
  assert.deepEqual([error.code, error.status, error.retryable], ['queue_full', 0, true]);
  assert.match(error.message, /3 messages .* raise maxQueued/);
  const elsewhere = client.sendMessage(other, 'chat', { n: 4 });
  holding = false;
  await Promise.all([...sent, elsewhere]);
  await client.sendMessage(room, 'chat', { n: 5 });
  assert.deepEqual(stored.filter((n) => n !== 4), [0, 1, 2, 5]);
});

test('by default 100 messages may wait', async () => {
  let holding = true;
  const { url, requests, stored } = await numbered({ status: () => () => holding });
  const client = clientOf(url);
  const room = randomUUID();
  const sent = range(101).map((n) => outcomeOf(client.sendMessage(room, 'chat', { n })));
  assert.equal(await sent[100], 'queue_full');
  await until('the first is tried again', () => requests.length > 1);
  holding = false;
  assert.deepEqual(new Set(await Promise.all(sent.slice(0, 100))), new Set(['sent']));
  assert.deepEqual(stored, range(100));
});

// reader.mjs makes MaxListenersExceededWarning an error.
test('one signal may belong to many messages, and ends them all', async () => {
  const { url } = await numbered({ late: () => NEVER });
  const client = clientOf(url);
  const [room, stop] = [randomUUID(), new AbortController()];
  const warnings = [];
  process.on('warning', ({ name }) => warnings.push(name));
  const elsewhere = range(20).map(() => outcomeOf(client.sendMessage(randomUUID(), 'chat', { n: 0 }, { signal: stop.signal })));
  const outcomes = range(20).map((n) => outcomeOf(client.sendMessage(room, 'chat', { n }, { signal: stop.signal })));
  await pause(50);
  stop.abort(new Error('the user left'));
  assert.deepEqual(new Set(await Promise.all([...elsewhere, ...outcomes])), new Set(['the user left']));
  await pause(0);
  assert.deepEqual(warnings, []);
});
