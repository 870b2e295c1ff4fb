// Answers that do not come from Sealcast, such as a login page or the page of a single-page app: they are errors at once,
// and never taken for messages, pages or event streams.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient, SealcastError, sse } from '../../client/index.js';
import { EVENTS_TYPE, JSON_TYPE, seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { QUICK, Reader } from './reader.mjs';

const HTML = { 'content-type': 'text/html; charset=utf-8' };
const login = (response) => response.writeHead(200, HTML).end('<!doctype html>\n\n<title>Sign in</title>\n\n');
const room = randomUUID();
const clientOf = (url, more) => createClient({ url, token: 'x', retry: QUICK, ...more });

// What a call gives, or its error.
const outcome = (call) => call.then((value) => assert.fail(`accepted: ${JSON.stringify(value)}`), (error) => error);

const frame = { offset: 1, prev: 0, envelope: seal(JSON.stringify({ stream_id: room, t: 'chat', d: {}, txn_id: randomUUID() })) };
const page = { messages: [frame], first: 1, last: 1, epoch: 'e1' };

const CALLS = {
  'sendMessage()': {
    call: (client) => client.sendMessage(room, 'chat', { content: 'x' }),
    right: (body) => seal(body),
    wrong: (body) => [{}, [], null, 'text', 7, { ok: true }, { ...seal(body), v: 2 }, { ...seal(body), d: 'x' }, { ...seal(body), sig: '' }],
  },
  'messages()': {
    call: (client) => client.messages(room),
    right: () => page,
    wrong: () => [{}, [], null, { messages: [] }, { ...page, messages: {} }, { ...page, last: '1' }, { ...page, epoch: 7 }, { ...page, messages: [{}] }],
  },
  'verify()': {
    call: (client) => client.verify(frame.envelope),
    right: () => ({ result: 'ok' }),
    wrong: () => [{}, null, { result: true }, { result: 'yes' }],
  },
  'verify() by keys': {
    call: (client) => client.verify(frame.envelope, { by: 'keys' }),
    right: () => ({ keys: [] }),
    wrong: () => [{}, null, { keys: {} }, { keys: [null] }],
  },
  'ticket()': {
    call: (client) => client.ticket(room),
    right: () => ({ access_token: 'x', expires_in: 300 }),
    wrong: () => [{}, null, { access_token: 7, expires_in: 300 }, { access_token: 'x' }],
  },
};

for (const [name, { call, right, wrong }] of Object.entries(CALLS)) {
  test(`${name} rejects a login page and JSON of another shape with one request`, async () => {
    let answer;
    const { url, requests } = await serveAnswers((request, response, body) => answer(response, body));
    answer = (response, body) => sendJson(response, right(body));
    await call(clientOf(url));
    const foreign = [login, (response, body) => response.writeHead(200, HTML).end(JSON.stringify(right(body)))];
    foreign.push((response, body) => response.writeHead(200).end(JSON.stringify(right(body))));
    for (const index of wrong('{"d":{}}').keys()) foreign.push((response, body) => sendJson(response, wrong(body || '{}')[index]));
    for (answer of foreign) {
      const before = requests.length;
      const error = await outcome(call(clientOf(url)));
      assert.ok(error instanceof SealcastError, String(error));
      assert.deepEqual([error.code, error.status, error.retryable], ['unexpected_answer', 200, false]);
      assert.ok(error.message.includes(url), error.message);
      assert.equal(requests.length, before + 1, `answer ${foreign.indexOf(answer)}`);
    }
  });
}

test('an answer that is cut off may be repeated', async () => {
  const { url, requests } = await serveAnswers((_, response, body) => {
    const whole = JSON.stringify(seal(body));
    response.writeHead(200, JSON_TYPE).end(requests.length === 1 ? whole.slice(0, 40) : whole);
  });
  await clientOf(url).sendMessage(room, 'chat', {});
  assert.equal(new Set(requests.map(({ body }) => body)).size, 1);
  assert.equal(requests.length, 2);
});

test('an event stream must be an event stream: a login page ends the subscription with one request', async () => {
  for (const headers of [HTML, JSON_TYPE, {}]) {
    const { url, requests } = await serveAnswers((_, response) => response.writeHead(200, headers).end('id: 1\n\n'));
    const reader = new Reader(clientOf(url), room);
    await assert.rejects(reader.subscription.ready, { code: 'unexpected_answer', status: 200 });
    await reader.close();
    assert.equal(reader.statuses.join(), 'failed');
    assert.equal(requests.length, 1);
  }
  const { url } = await serveAnswers((_, response) => response.writeHead(200, { 'content-type': 'Text/Event-Stream;charset=utf-8' }).write('id: 1\n\n'));
  const reader = new Reader(clientOf(url), room);
  await reader.ready();
});

test('events of an unknown named type are ignored, whatever their data', async () => {
  const { url } = await serveAnswers((_, response) => {
    const foreign = ['news', 'error', 'open'].map((type) => `event: ${type}\nid: e9:99\ndata: not JSON\n\n`).join('');
    response.writeHead(200, EVENTS_TYPE).write(`${foreign}id: e1:0\n\n${foreign}id: e1:1\ndata: ${JSON.stringify(frame)}\n\n${foreign}`);
  });
  const reader = new Reader(clientOf(url), room);
  await reader.reached(1);
  assert.equal(reader.subscription.resumePoint, 'e1:1');
  assert.deepEqual([reader.errors, reader.statuses], [[], ['live']]);
});

test("a proxy's 404, which is not JSON of Sealcast, is tried again by a reader; Sealcast's own is final", async () => {
  const { url, requests } = await serveAnswers((_, response) => {
    if (requests.length === 1) return response.writeHead(404, HTML).end('<html>');
    if (requests.length === 2) return sendJson(response, { error: 'not found' }, 404);
    if (requests.length === 3) return response.writeHead(200, EVENTS_TYPE).end('id: e1:7\n\n');
    return sendJson(response, { code: 'stream_not_found', message: 'm', details: null, hint: null }, 404);
  });
  const reader = new Reader(clientOf(url), room);
  await reader.until('the subscription has failed', () => reader.subscription.status === 'failed');
  assert.deepEqual(reader.errors.map(({ code }) => code), ['unexpected_answer', 'unexpected_answer', 'connection_lost', 'stream_not_found']);
  assert.equal(requests.length, 4);
});

test('a page of the history that is not ours ends the subscription', async () => {
  const { url, requests } = await serveAnswers((_, response) => login(response));
  const pigeon = { name: 'pigeon', connect: (_, { signal, onConnected }) => new Promise((resolve) => (signal.addEventListener('abort', resolve), onConnected())) };
  const reader = new Reader(clientOf(url, { transports: [pigeon] }), room);
  await assert.rejects(reader.subscription.ready, { code: 'unexpected_answer' });
  await reader.close();
  assert.equal(requests.length, 1);
});

test('verify: true does not drop messages because of a login page, but ends the subscription', async () => {
  const { url } = await serveAnswers((request, response) => {
    if (request.method === 'POST') return login(response);
    response.writeHead(200, EVENTS_TYPE).write(`id: e1:0\n\nid: e1:1\ndata: ${JSON.stringify(frame)}\n\n`);
  });
  const reader = new Reader(clientOf(url), room, { verify: true });
  await reader.until('the subscription has failed', () => reader.subscription.status === 'failed');
  assert.deepEqual(reader.errors.map(({ code }) => code), ['unexpected_answer']);
});

test('a list of regions or a token of another shape is not used', async () => {
  const { url, requests } = await serveAnswers((request, response, body) => {
    if (request.url === '/regions') return sendJson(response, { regions: [{ url: 7 }, null] });
    if (request.url.endsWith('/token')) return sendJson(response, { channel_id: 7, token: true });
    return sendJson(response, seal(body));
  });
  const client = clientOf(url, { regions: true, transports: [sse(), { name: 'pigeon', connect: (_, { access }) => access(true) }] });
  await client.sendMessage(room, 'chat', {});
  assert.equal(client.region, url);
  const reader = new Reader(client, room, { transport: 'pigeon' });
  await assert.rejects(reader.subscription.ready, { code: 'transport_refused' });
  await reader.close();
  assert.equal(requests.filter((request) => request.url.endsWith('/token')).length, 1);
});

test('an open event stream that ends after a login page does not leave a request behind', async () => {
  const closed = [];
  const { url } = await serveAnswers((request, response) => {
    response.writeHead(200, HTML).write('<p>');
    response.on('close', () => closed.push(request.url));
  });
  const reader = new Reader(clientOf(url), room);
  await assert.rejects(reader.subscription.ready, { code: 'unexpected_answer' });
  for (let tries = 0; closed.length === 0 && tries < 100; tries++) await pause(20);
  assert.equal(closed.length, 1);
});
