// Verifies envelopes without a secret: canonical JSON in JavaScript, public keys of the sidecar or pinned ones, and forgeries.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { canonicalize } from '../../client/canonical.js';
import { createClient } from '../../client/index.js';
import { signature, signingString } from '../integration/envelope.mjs';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { QUICK, Reader } from './reader.mjs';
import { launch, serve } from './site.mjs';
import { write } from './stream.mjs';

const vectors = new URL('../vectors/', import.meta.url);

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
  await stack.addKeyPair('e1');
  await signWith('e1');
  await until('the sidecar publishes e1', async () => (await publishedKids()).includes('e1'));
});
after(() => stack.close());

const publishedKids = async () => (await (await fetch(`${sidecar.url}/.well-known/sealcast-keys`)).json()).keys.map(({ kid }) => kid);

async function signWith(kid) {
  await stack.query(`alter system set sealcast.signing_kid = '${kid}'`);
  await stack.query('select pg_reload_conf()');
  await until(`${kid} signs`, async () => (await stack.query('select sealcast_internal.signing_kid() as kid'))[0].kid === kid);
}

// A client, and a record of its requests for public keys.
function recorded({ through = fetch, ...more } = {}) {
  const asked = [];
  const recording = (url, init) => {
    if (String(url).endsWith('/sealcast-keys')) asked.push(init.cache);
    return through(url, init);
  };
  const client = createClient({ url: sidecar.url, retry: QUICK, ...more, fetch: recording });
  return { client, asked, verify: (envelope) => client.verify(envelope, { by: 'keys' }) };
}

async function sealed(d = { content: 'hello' }) {
  const client = createClient({ url: sidecar.url, token: stack.user().token(), retry: QUICK });
  return client.sendMessage(await stack.stream(), 'chat', d);
}

test('the client writes the same canonical JSON as the server', async () => {
  const documents = [
    '{"b":1E2,"a":[0.10,-0,"\\u00e9",null,true,false,{}]}',
    '{"10":1,"9":2,"é":3,"\\ud83d\\ude00":4,"\\ufb33":5,"__proto__":{"toString":1},"":6}',
    '["\\u0000\\u001f\\u007f\\u2028\\u2029<>&/\\\\\\"\\b\\f\\n\\r\\t"]',
    '[1e21,1e-7,123456789012345680000,5e-324,1.7976931348623157e308,-1.5,0.000001]',
    `${'['.repeat(128)}${']'.repeat(128)}`,
  ];
  for (const json of documents) {
    const [{ canonical }] = await stack.query('select sealcast.canonicalize($1::json) as canonical', [json]);
    assert.equal(canonicalize(JSON.parse(json)), canonical);
  }
  const lines = readFileSync(new URL('es6_doubles.txt', vectors), 'utf8').match(/^[0-9a-f]{16}$/gm);
  const doubles = lines.map((bits) => Buffer.from(bits, 'hex').readDoubleBE()).filter(Number.isFinite);
  assert.ok(doubles.length > 20);
  const literals = `[${doubles.map((number) => number.toExponential(25)).join()}]`;
  const [{ canonical }] = await stack.query('select sealcast.canonicalize($1::json) as canonical', [literals]);
  assert.equal(canonicalize(doubles), canonical);
});

test('a value without a canonical form is an error', () => {
  for (const value of ['\ud800', { '\udfff': 1 }, Infinity, Number.NaN, undefined, [() => {}], 1n]) {
    assert.throws(() => canonicalize(value), TypeError);
  }
  assert.throws(() => canonicalize(JSON.parse(`${'['.repeat(129)}${']'.repeat(129)}`)), TypeError);
});

test('a sealed envelope verifies, as an object or as text, and a changed one does not', async () => {
  const { verify } = recorded();
  const envelope = await sealed({ content: 'so 😀', numbers: [1e21, 0.1, -0], nested: { b: null, a: [] } });
  assert.equal(envelope.sig.length, 128);
  assert.equal(await verify(envelope), 'ok');
  assert.equal(await verify(JSON.stringify(envelope)), 'ok');
  const flipped = (text) => text.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  const changes = {
    t: 'chat2', stream_id: envelope.s, s: envelope.stream_id, ts: envelope.ts + 1, txn_id: envelope.s,
    d: { ...envelope.d, content: 'other' }, sig: flipped(envelope.sig),
  };
  for (const [member, value] of Object.entries(changes)) {
    assert.equal(await verify({ ...envelope, [member]: value }), 'bad_signature', member);
  }
  const malformed = [
    null, [], 'no JSON', {}, { ...envelope, v: 2 }, { ...envelope, w: 1 }, { ...envelope, t: 'a|b' }, { ...envelope, t: '' },
    { ...envelope, s: 7 }, { ...envelope, s: '\ud800' }, { ...envelope, ts: -1 }, { ...envelope, ts: 1.5 },
    { ...envelope, kid: '../k1' }, { ...envelope, kid: null }, { ...envelope, d: { content: '\ud800' } },
    { ...envelope, sig: envelope.sig.slice(1) }, { ...envelope, sig: envelope.sig.toUpperCase() }, { ...envelope, sig: [envelope.sig] },
  ];
  for (const value of malformed) assert.equal(await verify(value), 'malformed', JSON.stringify(value));
});

test('a signature of another algorithm or key does not verify', async () => {
  const { verify } = recorded();
  const envelope = await sealed();
  const { x } = createPublicKey(createPrivateKey(readFileSync(join(stack.keyring, 'e1.ed25519')))).export({ format: 'jwk' });
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = Buffer.from(signingString(envelope));
  const forged = {
    'half of it': envelope.sig.slice(0, 64),
    'an HMAC of another key': signature({ ...envelope, kid: 'k1' }, stack.keyring),
    'an HMAC twice': signature({ ...envelope, kid: 'k1' }, stack.keyring).repeat(2),
    'another pair': sign(null, text, privateKey).toString('hex'),
    'the public key as a signature': Buffer.from(x, 'base64url').toString('hex').repeat(2),
  };
  for (const [what, sig] of Object.entries(forged)) assert.equal(await verify({ ...envelope, sig }), 'bad_signature', what);
  const hmac = { ...envelope, kid: 'k1' };
  assert.equal(await verify({ ...hmac, sig: signature(hmac, stack.keyring) }), 'unknown_kid', 'an HMAC key is not published');
});

test('keys are read once, and again for an unknown kid, at most once per second', async () => {
  const envelope = await sealed();
  const { verify, asked } = recorded();
  assert.deepEqual(await Promise.all(Array.from({ length: 5 }, () => verify(envelope))), Array(5).fill('ok'));
  assert.deepEqual(asked, [undefined]);
  await until('the keys are read a second time', async () => {
    assert.equal(await verify({ ...envelope, kid: 'e9' }), 'unknown_kid');
    return asked.length > 1;
  });
  assert.deepEqual(asked, [undefined, 'no-store'], 'the second request bypasses caches');
  for (let i = 0; i < 20; i++) assert.equal(await verify({ ...envelope, kid: `f${i}` }), 'unknown_kid');
  assert.ok(asked.length <= 3, `${asked.length} readings`);
  assert.equal(await verify(envelope), 'ok');
});

test('a running client finds a new key', async () => {
  const { verify } = recorded();
  assert.equal(await verify(await sealed()), 'ok');
  await stack.addKeyPair('e2');
  await signWith('e2');
  const envelope = await sealed();
  assert.equal(envelope.kid, 'e2');
  await until('the client knows e2', async () => (await verify(envelope)) === 'ok');
  await signWith('e1');
});

test('with pinned keys the client uses no others and does not ask the server', async () => {
  const envelope = await sealed();
  const publicKeys = await (await fetch(`${sidecar.url}/.well-known/sealcast-keys`)).json();
  const pinned = recorded({ publicKeys });
  assert.equal(await pinned.verify(envelope), 'ok');
  const others = recorded({ publicKeys: { keys: [{ kty: 'oct', kid: 'e1', k: 'c2VjcmV0' }, ...publicKeys.keys.filter(({ kid }) => kid !== 'e1')] } });
  assert.equal(await others.verify(envelope), 'unknown_kid');
  assert.deepEqual([pinned.asked, others.asked], [[], []]);
  assert.throws(() => recorded({ publicKeys: {} }), /createClient\(\): publicKeys must be a JSON Web Key Set/);
  await assert.rejects(recorded().client.verify(envelope, { by: 'faith' }), TypeError);
});

test('a removed key verifies for at most five minutes, also when the keys cannot be read', async (t) => {
  await stack.addKeyPair('stolen');
  await stack.query('select pg_reload_conf()');
  const envelope = await sealed();
  const text = Buffer.from(signingString(envelope));
  const forged = { ...envelope, kid: 'stolen', sig: sign(null, text, createPrivateKey(readFileSync(join(stack.keyring, 'stolen.ed25519')))).toString('hex') };
  let down = false;
  const through = async (...request) => (down ? new Response('{"code":"database_unavailable","message":"x"}', { status: 503 }) : fetch(...request));
  const readers = [recorded(), recorded({ through })];
  for (const { verify } of readers) await until('the key is known', async () => (await verify(forged)) === 'ok');
  rmSync(join(stack.keyring, 'stolen.ed25519'));
  await stack.query('select pg_reload_conf()');
  await until('the key is gone', async () => (await recorded().verify(forged)) === 'unknown_kid');
  const now = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => now() + 301_000);
  down = true;
  assert.equal(await readers[0].verify(forged), 'unknown_kid', 'already the first verdict after a long pause');
  await assert.rejects(readers[1].verify(forged), { code: 'database_unavailable' });
  await assert.rejects(readers[1].verify(envelope), { code: 'database_unavailable' }, 'the other keys have expired too');
});

test('verify() fails without a verdict when the keys cannot be read or used', async () => {
  const envelope = await sealed();
  const down = async () => new Response('{"code":"database_unavailable","message":"x"}', { status: 503 });
  await assert.rejects(recorded({ through: down }).verify(envelope), { status: 503, code: 'database_unavailable' });
  const { subtle } = crypto;
  const missing = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  Object.defineProperty(globalThis, 'crypto', { value: {}, configurable: true });
  try {
    await assert.rejects(recorded().verify(envelope), { code: 'no_webcrypto' });
    const importKey = async () => Promise.reject(new DOMException('no', 'NotSupportedError'));
    globalThis.crypto.subtle = { digest: subtle.digest.bind(subtle), importKey };
    await assert.rejects(recorded().verify(envelope), { code: 'no_ed25519' });
    const reader = new Reader(recorded().client, envelope.stream_id, { from: 0, verify: 'keys' });
    await reader.until('the subscription has failed', () => reader.subscription.status === 'failed');
    assert.deepEqual(reader.errors.map(({ code }) => code), ['no_ed25519'], 'there is no retry');
    await reader.close();
  } finally {
    Object.defineProperty(globalThis, 'crypto', missing);
  }
});

// A fetch that changes the frames of the event stream.
function changingFrames(change) {
  return async (...request) => {
    const response = await fetch(...request);
    if (!String(request[0]).includes('/events')) return response;
    const changed = new TransformStream({
      transform: (bytes, out) => out.enqueue(Buffer.from(change(Buffer.from(bytes).toString()))),
    });
    return new Response(response.body.pipeThrough(changed), response);
  };
}

test("verify: 'keys' leaves out a changed message, without asking the server for a verdict", async () => {
  const room = await stack.stream();
  const urls = [];
  const changing = changingFrames((text) => text.replace('n 2', 'm 2'));
  const { client, asked } = recorded({ through: (url, init) => (urls.push(String(url)), changing(url, init)) });
  const reader = new Reader(client, room, { verify: 'keys' });
  await reader.ready();
  await write(stack, room, 3);
  await reader.reached(3);
  assert.deepEqual(reader.offsets, [1, 3]);
  assert.deepEqual(reader.errors.map(({ code, frame }) => [code, frame.offset]), [['unverified', 2]]);
  assert.deepEqual([asked.length, urls.some((url) => url.endsWith('/rpc/verify'))], [1, false]);
  await reader.close();
  assert.throws(() => client.subscribeStreamEvents(room, () => {}, { verify: 'key' }), TypeError);
});

for (const verify of [true, 'keys']) {
  test(`verify: ${verify} leaves out a valid envelope of another stream`, async () => {
    const [room, stray] = [await stack.stream(), JSON.stringify(await sealed())];
    const swapped = changingFrames((text) => text.replace(/"offset":2,"prev":1,"envelope":\{.*\}\}/, `"offset":2,"prev":1,"envelope":${stray}}`));
    const reader = new Reader(recorded({ through: swapped }).client, room.toUpperCase(), { verify });
    await reader.ready();
    await write(stack, room, 3);
    await reader.reached(3);
    assert.deepEqual(reader.offsets, [1, 3]);
    assert.match(reader.errors[0].message, /offset 2 does not verify: wrong_stream/);
    await reader.close();
  });
}

test('Chromium verifies with keys on a page of an origin that http.cors_origins does not list', async () => {
  const [site, browser] = [await serve(), await launch()];
  try {
    const page = await (await browser.newContext()).newPage();
    await page.goto(site.origin);
    const envelope = await sealed({ content: 'from elsewhere 😀', n: 1e21 });
    const results = await page.evaluate(async ({ url, envelope }) => {
      const { createClient } = await import('/client/index.js');
      const client = createClient({ url });
      const verify = (value) => client.verify(value, { by: 'keys' });
      return [
        await verify(envelope),
        await verify(JSON.stringify(envelope)),
        await verify({ ...envelope, ts: envelope.ts + 1 }),
        await verify({ ...envelope, sig: envelope.sig.slice(64) }),
        await verify({ ...envelope, kid: 'k1' }),
      ];
    }, { url: sidecar.url, envelope });
    assert.deepEqual(results, ['ok', 'ok', 'bad_signature', 'bad_signature', 'unknown_kid']);
  } finally {
    await browser.close();
    site.server.close();
  }
});
