// sendMessage() against a sidecar: which errors it retries, and that a retry never stores a second message.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient, SealcastError } from '../../client/index.js';
import { checkEnvelope } from '../integration/envelope.mjs';
import { freePort, PrivateStack } from '../integration/stack.mjs';
import { within } from '../integration/waiting.mjs';
import { seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { Proxy } from './proxy.mjs';
import { fetchIgnoringSignal, QUICK } from './reader.mjs';

let stack, sidecar, proxy;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
  proxy = await Proxy.to(sidecar.url);
});
after(async () => {
  await proxy?.close();
  await stack.close();
});

const clientOf = (user, more = {}) => createClient({ url: proxy.url, token: user.token(), retry: QUICK, ...more });

test('sendMessage() resolves with the sealed envelope, with a new txn_id or the given one', async () => {
  const [room, user, txnId] = [await stack.stream(), stack.user(), randomUUID()];
  const client = clientOf(user);
  const envelope = await client.sendMessage(room, 'chat', { content: 'hello 😀' });
  assert.deepEqual([envelope.t, envelope.s, envelope.stream_id, envelope.d.content], ['chat', user.id, room, 'hello 😀']);
  checkEnvelope(JSON.stringify(envelope), stack.keyring);
  assert.equal((await client.sendMessage(room, 'chat', { content: 'hello' }, { txnId })).txn_id, txnId);
  assert.equal(await client.verify(envelope), 'ok');
  assert.equal(await client.verify({ ...envelope, ts: envelope.ts + 1 }), 'bad_signature');
  assert.equal(await client.verify('{}'), 'malformed');
  assert.equal((await stack.stored(room)).length, 2);
});

test('without crypto, as in Node.js 18, txn_ids are UUIDs too', async () => {
  const crypto = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  Object.defineProperty(globalThis, 'crypto', { value: undefined, configurable: true });
  try {
    const room = await stack.stream();
    const { txn_id: one } = await clientOf(stack.user()).sendMessage(room, 'chat', {});
    const { txn_id: two } = await clientOf(stack.user()).sendMessage(room, 'chat', {});
    assert.match(one, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(one, two);
  } finally {
    if (crypto) Object.defineProperty(globalThis, 'crypto', crypto);
    else delete globalThis.crypto;
  }
});

test('a message whose answer is lost is repeated and stored once', async () => {
  const room = await stack.stream();
  const client = clientOf(stack.user());
  proxy.cutAfter(0);
  const before = proxy.spent;
  const envelope = await client.sendMessage(room, 'chat', { content: 'once' });
  assert.equal(proxy.spent, before + 1, 'an answer was lost');
  assert.deepEqual(await stack.stored(room), [envelope.txn_id]);
});

test('sendMessage() waits after 429 and retries until every message is sent', async () => {
  const room = await stack.stream();
  const client = clientOf(stack.user());
  const sent = await Promise.all(Array.from({ length: 8 }, (_, i) => client.sendMessage(room, 'chat', { content: `${i}` })));
  assert.deepEqual(new Set(await stack.stored(room)), new Set(sent.map((envelope) => envelope.txn_id)));
});

test('a refusal is an error with status, code, details and hint, and is not retried', async () => {
  const room = await stack.stream();
  const user = stack.user();
  await stack.query("select sealcast.mute($1, $2, now() + interval '1 hour')", [room, user.id]);
  const refused = [
    [() => clientOf(user).sendMessage(room, 'chat', {}), 403, 'user_muted'],
    [() => clientOf(stack.user()).sendMessage(randomUUID(), 'chat', {}), 404, 'stream_not_found'],
    [() => clientOf(stack.user()).sendMessage(room, 'no.such', {}), 422, 'unknown_type'],
    [() => clientOf(stack.user()).sendMessage(room, 'transport_migrate', { target: 'mqtt' }), 403, 'role_required'],
    [() => clientOf(stack.user()).sendMessage(room, 'chat', { content: 'x'.repeat(20_000) }), 413, 'payload_too_large'],
    [() => createClient({ url: proxy.url, token: 'x' }).sendMessage(room, 'chat', {}), 401, 'unauthenticated'],
  ];
  for (const [send, status, code] of refused) {
    const error = await send().then(() => assert.fail(`${code} was accepted`), (e) => e);
    assert.ok(error instanceof SealcastError, String(error));
    assert.deepEqual([error.status, error.code, error.retryable], [status, code, false]);
    assert.match(error.txnId, /^[0-9a-f-]{36}$/);
  }
  const muted = await clientOf(user).sendMessage(room, 'chat', {}).catch((e) => e);
  assert.match(muted.details, /^until /);
  assert.ok(muted.retryAfterMs > 3_000_000, `${muted.retryAfterMs}`);
  assert.deepEqual(await stack.stored(room), []);
});

test('a 503 without Redis is retried until Redis is back, or until giveUpAfterMs', async () => {
  const room = await stack.stream();
  const client = clientOf(stack.user());
  await stack.stop('redis', 'SIGKILL');
  const error = await client.sendMessage(room, 'chat', {}, { giveUpAfterMs: 50 }).catch((e) => e);
  assert.deepEqual([error.status, error.code], [503, 'gate_unavailable']);
  assert.ok(error.retryAfterMs >= 1000, 'the error says when to retry');
  const sent = client.sendMessage(room, 'chat', { content: 'patient' });
  const stop = new AbortController();
  const abandoned = client.sendMessage(room, 'chat', { content: 'not so' }, { signal: stop.signal });
  stop.abort(new Error('the user left'));
  await assert.rejects(abandoned, /the user left/);
  await stack.startRedis();
  const { txn_id: txnId } = await sent;
  assert.deepEqual(await stack.stored(room), [txnId]);
});

test('an unreachable server is unreachable, a silent one is a timeout', async () => {
  const user = stack.user();
  const nowhere = clientOf(user, { url: `http://127.0.0.1:${await freePort()}` });
  const room = randomUUID();
  await assert.rejects(nowhere.sendMessage(room, 'chat', {}, { giveUpAfterMs: 0 }), { status: 0, code: 'unreachable' });
  proxy.freeze();
  try {
    for (const how of [{}, { fetch: fetchIgnoringSignal }]) {
      const sent = clientOf(user, { timeoutMs: 100, ...how }).sendMessage(room, 'chat', {}, { giveUpAfterMs: 0 });
      await assert.rejects(within('the request is given up', sent), { status: 0, code: 'timeout' });
    }
  } finally {
    proxy.freeze(false);
    proxy.cut();
  }
});

test('an expired session is renewed once by getToken()', async () => {
  const [room, user] = [await stack.stream(), stack.user()];
  const expired = user.token({ exp: Math.floor(Date.now() / 1000) - 60 });
  await assert.rejects(clientOf(user, { token: expired }).sendMessage(room, 'chat', {}), { code: 'token_expired' });
  const asked = [];
  const getToken = async ({ refresh }) => {
    asked.push(refresh);
    return refresh ? user.token() : expired;
  };
  await clientOf(user, { getToken }).sendMessage(room, 'chat', {});
  assert.deepEqual(asked, [false, true]);
  await assert.rejects(clientOf(user, { getToken: () => expired }).sendMessage(room, 'chat', {}), { code: 'token_expired' });
});

// No part of the stack gives these answers, but gateways in front of it do.
test('408, 425, HTML 404 and 502, a date in Retry-After and a hint of PostgREST are retried', async () => {
  const answers = [
    [404, { 'content-type': 'text/html' }, '<html>'],
    [404, { 'content-type': 'application/json' }, '{"message":"no Route matched with those values"}'],
    [408, {}, '{"code":"invalid_request","message":"m","details":null,"hint":null}'],
    [408, {}, '<html>'],
    [425, {}, ''],
    [502, {}, '<html>'],
    [503, { 'retry-after': new Date(Date.now() + 1000).toUTCString() }, '{"code":"overloaded","message":"m","hint":null}'],
    [429, {}, '{"code":"rate_limited","message":"m","details":"rate_limited: d","hint":"30 ms"}'],
  ];
  const { url, requests } = await serveAnswers((_, response, body) => {
    if (requests.length > answers.length) return sendJson(response, seal(body));
    const [status, headers, answer] = answers[requests.length - 1];
    response.writeHead(status, headers).end(answer);
  });
  const client = createClient({ url: `${url}/`, token: 'x', retry: QUICK });
  const { txn_id: txnId } = await client.sendMessage(randomUUID(), 'chat', {});
  assert.equal(requests.length, answers.length + 1);
  assert.deepEqual(new Set(requests.map(({ body }) => JSON.parse(body).txn_id)), new Set([txnId]));
});
