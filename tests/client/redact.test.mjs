// The calls that redact messages, and answers about redacted messages.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createClient } from '../../client/index.js';
import { parseFrame } from '../../client/frame.js';
import { EVENTS_TYPE, sendJson, serveAnswers } from './foreign_server.mjs';
import { publicKeys, redactedForm, redactionOf, sealed } from './redaction_model.mjs';
import { QUICK, Reader } from './reader.mjs';

const skip = globalThis.crypto?.subtle ? false : 'crypto.subtle is missing';
const room = randomUUID();
const clientOf = (url, more) => createClient({ url, token: 'session', retry: QUICK, publicKeys, ...more });

test('redact() and redactMessages() send the request with the session, and give what the server says', async () => {
  const { url, requests } = await serveAnswers((request, response) => {
    assert.equal(request.headers.authorization, 'Bearer session');
    sendJson(response, request.url.endsWith('messages') ? 12 : requests.length < 3);
  });
  const client = clientOf(url);
  const [senderId, txnId] = [randomUUID(), randomUUID()];
  const since = new Date('2030-01-02T03:04:05.678Z');
  const answers = [
    await client.redact(room, { offset: 7 }),
    await client.redact(room, { txnId, senderId }, 'spam'),
    await client.redact(room, { txnId }, null),
    await client.redactMessages(room, senderId, { since, reason: 'spam' }),
    await client.redactMessages(room, senderId, { since: since.getTime() }),
  ];
  assert.deepEqual(answers, [true, true, false, 12, 12]);
  const iso = since.toISOString();
  assert.deepEqual(requests.map(({ method, url: path, body }) => [`${method} ${path}`, JSON.parse(body)]), [
    ['POST /rpc/redact_message', { stream_id: room, offset: 7 }],
    ['POST /rpc/redact_message', { stream_id: room, txn_id: txnId, sender_id: senderId, reason: 'spam' }],
    ['POST /rpc/redact_message', { stream_id: room, txn_id: txnId }],
    ['POST /rpc/redact_messages', { stream_id: room, user_id: senderId, since: iso, reason: 'spam' }],
    ['POST /rpc/redact_messages', { stream_id: room, user_id: senderId, since: iso }],
  ]);
});

test('a refusal is an error with its code, and an answer of another shape too', async () => {
  const answers = [
    [403, { code: 'role_required', message: 'm', details: 'moderator', hint: null }],
    [200, '1'],
    [200, -1],
    [200, true],
    [200, { result: 'ok' }],
  ];
  const { url, requests } = await serveAnswers((_, response) => sendJson(response, ...answers[requests.length - 1].toReversed()));
  const client = clientOf(url);
  await assert.rejects(client.redact(room, { offset: 7 }), { code: 'role_required', status: 403, details: 'moderator' });
  for (const _ of answers.slice(1)) await assert.rejects(client.redactMessages(room, room, { since: 0 }), { code: 'unexpected_answer' });
});

test('wrong arguments are refused, and make no request', async () => {
  const { url, requests } = await serveAnswers((_, response) => response.end());
  const client = clientOf(url);
  const names = /redact\(\): message must be \{ offset \}, or \{ txnId \} with the senderId/;
  const rejected = [
    [client.redact(), /redact\(\): streamId must be a text/],
    ...[undefined, null, {}, 7, [], { offset: 0 }, { offset: 1.5 }, { offset: 1, txnId: 'x' }, { senderId: 'x' }, { txnId: 7 }, { txnId: 'x', senderId: '' }, { txn_id: 'x' }].map(
      (name) => [client.redact(room, name), names],
    ),
    [client.redact(room, { offset: 1 }, 7), /redact\(\): reason must be a text that is not empty, or null, not 7/],
    [client.redact(room, { offset: 1 }, { reason: 'x' }), /redact\(\): reason must be/],
    [client.redactMessages(room), /redactMessages\(\): userId must be a text/],
    [client.redactMessages(room, room), /redactMessages\(\): the options must be an object/],
    [client.redactMessages(room, room, {}), /redactMessages\(\): since must be a Date, or Unix milliseconds, not undefined/],
    [client.redactMessages(room, room, { since: '2030-01-01' }), /since must be a Date/],
    [client.redactMessages(room, room, { since: new Date('x') }), /since must be a Date/],
    [client.redactMessages(room, room, { since: 1e300 }), /since must be a Date/],
    [client.redactMessages(room, room, { since: 0, reason: 7 }), /reason must be a text/],
    [client.redactMessages(room, room, { since: 0, until: 1 }), /unknown option "until"/],
  ];
  for (const [call, message] of rejected) await assert.rejects(call, { name: 'TypeError', message });
  assert.deepEqual(requests, []);
});

test('a repeat of a message that was redacted since resolves with the redacted envelope', async () => {
  const mine = sealed(room);
  let answer = redactedForm(mine);
  const { url } = await serveAnswers((_, response) => sendJson(response, answer));
  const client = clientOf(url);
  assert.deepEqual(await client.sendMessage(room, 'chat', mine.d, { txnId: mine.txn_id }), answer);
  for (answer of [{ ...mine, d: null }, { ...mine, payload_hash: redactedForm(mine).payload_hash }, { ...redactedForm(mine), payload_hash: 'x' }]) {
    await assert.rejects(client.sendMessage(room, 'chat', mine.d), { code: 'unexpected_answer' });
  }
});

test('verify() tells a redacted envelope from a forged and a malformed one', { skip }, async () => {
  const client = clientOf('https://chat.example');
  const verify = (envelope) => client.verify(envelope, { by: 'keys' });
  const redacted = redactedForm(sealed(room));
  assert.equal(await verify(redacted), 'redacted');
  assert.equal(await verify(JSON.stringify(redacted)), 'redacted');
  const changes = { payload_hash: '0'.repeat(64), ts: redacted.ts + 1, s: randomUUID() };
  for (const [member, value] of Object.entries(changes)) assert.equal(await verify({ ...redacted, [member]: value }), 'bad_signature', member);
  const { payload_hash: hash, ...bare } = redacted;
  assert.equal(await verify(bare), 'bad_signature', 'seal() can sign null, but did not');
  const malformed = [
    { ...redacted, d: {} }, { ...redacted, d: undefined }, { ...redacted, d: 0 }, { ...redacted, d: false }, { ...redacted, d: '' },
    { ...sealed(room), payload_hash: hash }, { ...redacted, payload_hash: null }, { ...redacted, payload_hash: 7 },
    { ...redacted, payload_hash: hash.toUpperCase() }, { ...redacted, payload_hash: hash.slice(1) }, { ...redacted, redacted: true },
  ];
  for (const value of malformed) assert.equal(await verify(value), 'malformed', JSON.stringify(value));
});

test('verify() by the server gives its result', async () => {
  const { url } = await serveAnswers((_, response) => sendJson(response, { result: 'redacted' }));
  assert.equal(await clientOf(url).verify(redactedForm(sealed(room))), 'redacted');
});

test('a frame has content, or a redaction, and never both or neither', () => {
  const message = sealed(room);
  const frame = { offset: 2, prev: 1, envelope: redactedForm(message), redacted: { by: null, at: 7, reason: 'spam' } };
  assert.deepEqual(parseFrame(JSON.stringify(frame)), frame);
  assert.deepEqual(parseFrame({ ...frame, redacted: { at: 7, more: 1 } }).redacted, { by: null, at: 7, reason: null });
  const whole = { offset: 2, prev: 1, envelope: message };
  assert.deepEqual(parseFrame({ ...whole, redacted: null }), whole);
  for (const bad of [{ ...frame, redacted: undefined }, { ...frame, redacted: null }, { ...frame, redacted: true }, { ...whole, redacted: {} }]) {
    assert.throws(() => parseFrame(bad), { code: 'bad_frame' });
  }
});

test('an event stream with redacted frames, and its history, reach the handler and onRedacted', { skip }, async () => {
  const messages = [sealed(room), sealed(room), sealed(room)];
  const redacted = { by: null, at: 7, reason: null };
  const frames = [
    { offset: 1, prev: 0, envelope: messages[0] },
    { offset: 2, prev: 1, envelope: redactedForm(messages[1]), redacted },
    { offset: 3, prev: 2, envelope: redactedForm(messages[2]), redacted },
    { offset: 4, prev: 3, envelope: redactionOf(room, messages[0], 1) },
  ];
  const { url } = await serveAnswers((request, response) => {
    if (request.url.includes('/messages')) return sendJson(response, { messages: [frames[1]], first: 1, last: 4, epoch: 'e1' });
    const events = [0, 2, 3].map((i) => `id: e1:${i + 1}\ndata: ${JSON.stringify(frames[i])}\n\n`);
    response.writeHead(200, EVENTS_TYPE).write(`id: e1:0\n\n${events.join('')}`);
  });
  const told = [];
  const onRedacted = ({ offsets }) => told.push(...offsets);
  const reader = new Reader(clientOf(url), room, { from: 0, verify: 'keys', onRedacted });
  await reader.reached(4);
  // The content of offset 1 and its redaction come in one piece, so the content may be gone already.
  assert.deepEqual(reader.frames.slice(1), frames.slice(1));
  assert.deepEqual(told, reader.frames[0].redacted ? [] : [1]);
  assert.deepEqual(reader.errors, []);
});
