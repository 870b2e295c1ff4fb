// Retained messages: a late joiner gets them first and once, over the event stream and over a transport without them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createClient } from '../../client/index.js';
import { until } from '../integration/waiting.mjs';
import { EVENTS_TYPE, seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { QUICK, Reader } from './reader.mjs';

const SYSTEM = '00000000-0000-0000-0000-000000000000';
const room = randomUUID();
const sealed = (t, d) => seal(JSON.stringify({ stream_id: room, t, d, txn_id: randomUUID() }));
const frame = (offset, t = 'chat', d = { n: offset }) => ({ offset, prev: offset - 1, envelope: sealed(t, d) });
const retained = (offset) => ({ ...frame(offset, 'poll'), retained: true });
const [poll, rules] = [retained(2), retained(3)];

const unnamed = (frames) => frames.map((each) => `data: ${JSON.stringify(each)}\n\n`).join('');
const readyAt = (offset) => `event: ready\nid: e1:${offset}\ndata: {}\n\n`;
const named = (frames) => frames.map((each) => `id: e1:${each.offset}\ndata: ${JSON.stringify(each)}\n\n`).join('');
const handed = (reader) => reader.frames.map(({ offset, retained: flag }) => (flag ? `${offset} retained` : `${offset}`));

test('an event stream brings the retained messages first, and again when it breaks off before it has begun', async () => {
  const connections = [
    (response) => response.end(unnamed([poll])),
    (response) => response.write(unnamed([poll, rules]) + readyAt(5) + named([frame(6)])),
  ];
  const { url, requests } = await serveAnswers((_, response) => connections.shift()(response.writeHead(200, EVENTS_TYPE)));
  const reader = new Reader(createClient({ url }), room);
  await reader.reached(6);
  assert.deepEqual(handed(reader), ['2 retained', '3 retained', '6'], 'each is handed over once');
  assert.deepEqual(reader.frames[0], poll);
  assert.equal(reader.subscription.resumePoint, 'e1:6');
  assert.equal(requests.length, 2);
});

// A transport that brings frames alone, as a broker does.
function pigeon() {
  const driver = { name: 'pigeon' };
  driver.connect = (_, context) => new Promise((resolve) => {
    context.signal.addEventListener('abort', resolve);
    Object.assign(driver, { feed: context.onFrame });
    context.onConnected();
  });
  return driver;
}

async function readerOf(options = {}, answer = () => ({})) {
  const driver = pigeon();
  const { url, requests } = await serveAnswers((request, response, body) => {
    if (!request.url.includes('/state')) return answer(request, response, body);
    return sendJson(response, { messages: [poll, rules], last: 5, epoch: 'e1' });
  });
  const reader = new Reader(createClient({ url, token: 'session', retry: QUICK, transports: [driver] }), room, options);
  await reader.ready();
  return { reader, driver, requests };
}

test('a reader of another transport asks for the retained messages, and goes on after them', async () => {
  const { reader, driver, requests } = await readerOf();
  driver.feed(frame(5)); // came before the answer, which has it
  driver.feed(frame(6));
  await reader.reached(6);
  assert.deepEqual(handed(reader), ['2 retained', '3 retained', '6']);
  assert.deepEqual(requests.map(({ url }) => url), [`/streams/${room}/state?channel=public`]);
  assert.deepEqual(reader.errors, []);
});

test('an older sidecar has no state: the reader begins with the newest offset, and learns the rules', async () => {
  const driver = pigeon();
  const { url, requests } = await serveAnswers((request, response) => {
    if (request.url.includes('/state')) return sendJson(response, { code: 'not_found', message: 'm' }, 404);
    if (request.url.includes('/rules')) return sendJson(response, { slow_mode_s: 30, senders: 'everyone', types: null });
    return sendJson(response, { messages: [frame(5)], first: 1, last: 5, epoch: 'e1' });
  });
  const shown = [];
  const onRules = ({ slow_mode_s: seconds }) => shown.push(seconds);
  const reader = new Reader(createClient({ url, retry: QUICK, transports: [driver] }), room, { channel: 'vip', onRules });
  await reader.ready();
  await until('the rules are known', () => shown.length > 0);
  const change = frame(6, 'stream_rules', { slow_mode_s: 60, senders: 'everyone', types: null });
  change.envelope.s = SYSTEM;
  driver.feed(change);
  await reader.reached(6);
  assert.deepEqual([shown, handed(reader), reader.errors], [[30, 60], ['6'], []]);
  assert.equal(reader.subscription.resumePoint, 'e1:6');
  assert(requests.some(({ url: path }) => path === `/streams/${room}/messages?limit=1&channel=vip`));
});

test('the vip channel is named, and a reader that goes on from an offset gets no retained messages', async () => {
  assert.equal((await readerOf({ channel: 'vip' })).requests[0].url, `/streams/${room}/state?channel=vip`);
  const { reader, driver } = await readerOf({ from: 'e1:5' }, (_, response) => sendJson(response, { messages: [], first: 1, last: 5, epoch: 'e1' }));
  driver.feed(frame(6));
  await reader.reached(6);
  assert.deepEqual(handed(reader), ['6']);
});

test('retained messages are verified and handed over before all others, however long that takes', async () => {
  let release;
  const late = new Promise((resolve) => (release = resolve));
  const answer = async (_, response, body) => {
    const { d } = JSON.parse(body);
    if (d.n === 2) await late;
    sendJson(response, { result: d.n === 3 ? 'bad_signature' : 'ok' });
  };
  const { reader, driver, requests } = await readerOf({ verify: true }, answer);
  driver.feed(frame(6));
  await until('the first is being verified', () => requests.some(({ url }) => url === '/rpc/verify'));
  assert.deepEqual(reader.frames, []);
  release();
  await reader.reached(6);
  assert.deepEqual(handed(reader), ['2 retained', '6'], 'an invalid one is left out');
  assert.deepEqual(reader.errors.map(({ code }) => code), ['unverified']);
});

test('when a retained message is redacted later, the application is told', async () => {
  const told = [];
  const { reader, driver } = await readerOf({ onRedacted: ({ offsets }) => told.push(...offsets) });
  const { s, txn_id, ts } = poll.envelope;
  const redaction = frame(6, 'message_redacted', { offset: 2, txn_id, sender_id: s, ts, by: null, reason: null });
  redaction.envelope.s = SYSTEM;
  driver.feed(redaction);
  await reader.reached(6);
  assert.deepEqual(told, [2]);
});

test('state() returns the retained messages', async () => {
  const { url } = await serveAnswers((request, response) => sendJson(response, request.url.includes('vip') ? { messages: 7 } : { messages: [poll], last: 5, epoch: 'e1' }));
  const client = createClient({ url });
  assert.deepEqual(await client.state(room), { messages: [poll], last: 5, epoch: 'e1' });
  await assert.rejects(client.state(room, { channel: 'vip' }), { code: 'unexpected_answer' });
  await assert.rejects(client.state(room, { channel: 'secret' }), TypeError);
});
