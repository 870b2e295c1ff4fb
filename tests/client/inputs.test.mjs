// Wrong arguments and options are refused when they are given, with an error that names the argument.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { ably, createClient, mqtt, sse, supabase } from '../../client/index.js';
import { freePort } from '../integration/stack.mjs';
import { serveAnswers } from './foreign_server.mjs';

const url = 'https://chat.example';

for (const [given, message] of [
  [undefined, /the options must be an object, not undefined/],
  [url, /the options must be an object/],
  [{}, /url must be an absolute URL.*not undefined/],
  [{ url: null }, /url must be.*not null/],
  [{ url: '' }, /url must be.*not ""/],
  [{ url: '/api' }, /url must be.*not "\/api"/],
  [{ url: 'chat.example' }, /url must be.*not "chat\.example"/],
  [{ url: 'localhost:8080' }, /url must be.*not "localhost:8080"/],
  [{ url: '//chat.example' }, /url must be/],
  [{ url: 'https:chat.example' }, /url must be/],
  [{ url: 'ftp://chat.example' }, /url must be/],
  [{ url: 'https://chat.example/?a=1' }, /url must be/],
  [{ url: 'https://user:hunter2@chat.example' }, /url must be.*not this text/],
  [{ url, regions: 'https://us.chat.example' }, /regions must be a list/],
  [{ url, regions: ['us.chat.example'] }, /regions must be a list/],
  [{ url, regions: false }, /regions must be a list/],
  [{ url, token: 7 }, /token must be a text/],
  [{ url, token: '' }, /token must be a text/],
  [{ url, getToken: 'token' }, /getToken must be a function/],
  [{ url, fetch: {} }, /fetch must be a function/],
  [{ url, timeoutMs: '15s' }, /timeoutMs must be a number of milliseconds/],
  [{ url, timeoutMs: NaN }, /timeoutMs must be a number of milliseconds.*not NaN/],
  [{ url, timeoutMs: -1 }, /timeoutMs must be.*not -1/],
  [{ url, followCells: 'no' }, /followCells must be true or false/],
  [{ url, publicKeys: [] }, /publicKeys must be a JSON Web Key Set/],
  [{ url, transports: [] }, /transports must be a list/],
  [{ url, transports: sse() }, /transports must be a list/],
  [{ url, transports: [sse] }, /transports must be a list/],
  [{ url, transports: [sse(), sse()] }, /transports must be a list of drivers.*each with another name/],
  [{ url, retry: 5 }, /retry: the options must be an object, not 5/],
  [{ url, retry: { baseMs: '1' } }, /retry: baseMs must be/],
  [{ url, retry: { base: 1 } }, /retry: unknown option "base"; the options are baseMs, capMs, spreadMs/],
  [{ url, maxQueued: 0 }, /maxQueued must be an integer, 1 or more/],
  [{ url, tokn: 'x' }, /unknown option "tokn"; the options are url, regions, token/],
]) {
  test(`createClient(${JSON.stringify(given)}) is refused`, () => {
    assert.throws(() => createClient(given), (error) => {
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /^createClient\(\)/);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  });
}

test('options that are undefined, and null for no token, are as if left out', async () => {
  const client = createClient({ url: new URL(url), token: null, timeoutMs: undefined, retry: { baseMs: undefined }, fetch: undefined });
  assert.equal(client.region, url);
});

test('the calls of a client name the wrong argument, and make no request', async () => {
  const { url: at, requests } = await serveAnswers((_, response) => response.end());
  const client = createClient({ url: at });
  const room = randomUUID();
  const nothing = () => {};
  const rejected = [
    [client.sendMessage(), /sendMessage\(\): streamId must be a text/],
    [client.sendMessage(room), /sendMessage\(\): type must be a text/],
    [client.sendMessage(room, 'chat'), /sendMessage\(\): d must be an object, not undefined/],
    [client.sendMessage(room, 'chat', 'hello'), /d must be an object, not "hello"/],
    [client.sendMessage(room, 'chat', []), /d must be an object, not an array/],
    [client.sendMessage(room, 'chat', {}, { txnID: 'x' }), /unknown option "txnID"/],
    [client.sendMessage(room, 'chat', {}, { giveUpAfterMs: NaN }), /giveUpAfterMs must be/],
    [client.sendMessage(room, 'chat', {}, { signal: {} }), /signal must be an AbortSignal/],
    [client.messages(), /messages\(\): streamId/],
    [client.messages(room, { from: 0 }), /unknown option "from"; the options are after, before/],
    [client.messages(room, { limit: 501 }), /limit must be an integer from 1 to 500/],
    [client.messages(room, { after: 'x' }), /after must be an offset or a resume point/],
    [client.verify({}, { by: 'faith' }), /verify\(\): by must be "server" or "keys", not "faith"/],
    [client.verify(undefined), /verify\(\): envelope must be/],
    [client.ticket(''), /ticket\(\): streamId/],
  ];
  for (const [call, message] of rejected) await assert.rejects(call, { name: 'TypeError', message });
  const thrown = [
    [[], /subscribeStreamEvents\(\): streamId must be a text/],
    [[room], /handler must be a function, not undefined/],
    [[room, {}], /handler must be a function, not an object/],
    [[room, nothing, nothing], /the options must be an object, not a function/],
    [[room, nothing, { onstatus: nothing }], /unknown option "onstatus"/],
    [[room, nothing, { onStatus: 'live' }], /onStatus must be a function/],
    [[room, nothing, { from: -1 }], /from must be an offset or a resume point/],
    [[room, nothing, { channel: 'private' }], /channel must be "public" or "vip"/],
    [[room, nothing, { verify: 'yes' }], /verify must be true or false or "keys"/],
    [[room, nothing, { quietMs: null }], /quietMs must be a number of milliseconds/],
    [[room, nothing, { maxHeld: 1.5 }], /maxHeld must be an integer/],
    [[room, nothing, { pageSize: 1000 }], /pageSize must be an integer from 1 to 500/],
    [[room, nothing, { reconnect: { baseMS: 1 } }], /reconnect: unknown option "baseMS"/],
  ];
  for (const [args, message] of thrown) {
    assert.throws(() => client.subscribeStreamEvents(...args), { name: 'TypeError', message });
  }
  assert.deepEqual(requests, []);
});

test('drivers name the wrong option', () => {
  for (const [make, message] of [
    [() => sse({ silenceMs: 'x' }), /sse\(\): silenceMs must be/],
    [() => sse({ qos: 1 }), /sse\(\): unknown option "qos"/],
    [() => mqtt(), /mqtt\(\): the options must be an object/],
    [() => mqtt({}), /mqtt\(\): client must be an SDK client, or a function/],
    [() => mqtt({ client: {}, qos: 3 }), /mqtt\(\): qos must be 0 or 1 or 2, not 3/],
    [() => ably({ client: 'key' }), /ably\(\): client must be/],
    [() => supabase({ client: {}, Topic: 'x' }), /supabase\(\): unknown option "Topic"/],
  ]) {
    assert.throws(make, { name: 'TypeError', message });
  }
});

test('migrate() names the wrong argument', async () => {
  const { url: at } = await serveAnswers((_, response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).write('id: 1\n\n'));
  const subscription = createClient({ url: at }).subscribeStreamEvents(randomUUID(), () => {});
  assert.throws(() => subscription.migrate(), /migrate\(\): transport must be a text/);
  assert.throws(() => subscription.migrate('sse', { overlap: 1 }), /migrate\(\): unknown option "overlap"/);
  await subscription.close();
});

test('"unreachable" names the address, and on a page of another origin that CORS may be the reason', async () => {
  const at = `http://127.0.0.1:${await freePort()}`;
  const errorOf = () => createClient({ url: `${at}/api`, token: 'secret' }).ticket(randomUUID()).catch((error) => error);
  const { code, message } = await errorOf();
  assert.deepEqual([code, message], ['unreachable', `the server at ${at} cannot be reached`]);
  globalThis.location = { origin: 'https://page.example' };
  try {
    assert.match((await errorOf()).message, /, or it does not allow the origin https:\/\/page\.example of this page \(CORS, http\.cors_origins\)$/);
    globalThis.location = { origin: at };
    assert.equal((await errorOf()).message, `the server at ${at} cannot be reached`);
  } finally {
    delete globalThis.location;
  }
});
