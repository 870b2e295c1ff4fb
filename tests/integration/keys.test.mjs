// HMAC and Ed25519 keys in one keyring: rotation between them while messages flow, and the public keys for readers.
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { checkEnvelope, signingString } from './envelope.mjs';
import { message, request, send, Subscriber } from './http.mjs';
import { Load } from './load.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar({ SEALCAST_HTTP_CORS_ORIGINS: 'https://app.example' });
});
after(() => stack.close());

const publicKeys = (headers) => request(`${sidecar.url}/.well-known/sealcast-keys`, { headers });
const reload = () => stack.query('select pg_reload_conf()');
const publishedKids = async () => (await publicKeys()).json.keys.map(({ kid }) => kid);

async function signWith(kid) {
  await stack.query(`alter system set sealcast.signing_kid = '${kid}'`);
  await reload();
}

test('pages of every origin may read the public keys and cache them for a minute', async () => {
  for (const origin of ['https://app.example', 'https://elsewhere.example']) {
    const { status, headers, json } = await publicKeys({ origin });
    assert.equal(status, 200);
    assert.deepEqual(json, { keys: [] }, 'HMAC keys are not published');
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['cache-control'], 'public, max-age=60');
    assert.equal(headers['access-control-allow-origin'], '*');
  }
  const posted = await request(`${sidecar.url}/.well-known/sealcast-keys`, { method: 'POST', body: '{}' });
  assert.deepEqual([posted.status, posted.json.code], [405, 'method_not_allowed']);
});

test('keys rotate from HMAC to Ed25519 and back while messages flow', { timeout: 120_000 }, async () => {
  const room = await stack.stream();
  const subscriber = await Subscriber.to(sidecar.url, room);
  const load = new Load(stack, room, [sidecar.url]);
  const kept = []; // one message of each phase
  const phase = async (kid) => {
    await until(`${kid} signs`, () => [...load.acknowledged.values()].at(-1)?.startsWith(`{"v":1,"kid":"${kid}"`));
    const before = load.acknowledged.size;
    await until('messages flow', () => load.acknowledged.size > before + 100);
    const own = { user: stack.user(), body: message(room, `under ${kid}`) };
    const answer = await send(sidecar.url, own.user, own.body);
    assert.equal(answer.json.kid, kid);
    kept.push({ ...own, text: answer.text });
    for (const { user, body, text } of kept) {
      const again = await send(sidecar.url, user, body);
      assert.deepEqual([again.status, again.text, again.headers['idempotency-replayed']], [200, text, 'true']);
    }
  };
  await phase('k1');
  await stack.addKeyPair('e1');
  await reload();
  await until('e1 is published', async () => (await publishedKids()).includes('e1'));
  await signWith('e1');
  await phase('e1');
  await stack.addKey('k3');
  await signWith('k3');
  await phase('k3');
  await load.stop();
  assert.deepEqual(load.unacknowledged, []);

  const { keys } = (await publicKeys()).json;
  assert.deepEqual(keys.map((key) => Object.keys(key).sort()), [['crv', 'kid', 'kty', 'x']]);
  const publicKey = createPublicKey({ key: keys[0], format: 'jwk' });
  const kids = new Set();
  for (const text of load.acknowledged.values()) {
    const envelope = checkEnvelope(text, stack.keyring);
    kids.add(envelope.kid);
    assert.equal(envelope.sig.length, envelope.kid === 'e1' ? 128 : 64);
    if (envelope.kid !== 'e1') continue;
    assert.ok(verify(null, Buffer.from(signingString(envelope)), publicKey, Buffer.from(envelope.sig, 'hex')));
  }
  assert.deepEqual(kids, new Set(['k1', 'e1', 'k3']));

  // The same envelopes were delivered, are stored, and are in the history.
  const all = new Map([...load.acknowledged, ...kept.map(({ body, text }) => [body.txn_id, text])]);
  const frames = await subscriber.received(all.size);
  for (const { envelope, text } of frames) assert.ok(text.endsWith(`"envelope":${all.get(envelope.txn_id)}}`), text);
  subscriber.close();
  const rows = await stack.query('select txn_id, sealcast.envelope(m) as text from sealcast.messages m where stream_id = $1', [room]);
  assert.deepEqual(new Map(rows.map(({ txn_id, text }) => [txn_id, text])), all);
  const { json } = await request(`${sidecar.url}/streams/${room}/messages?limit=500`);
  for (const { envelope } of json.messages) assert.deepEqual(envelope, JSON.parse(all.get(envelope.txn_id)));
  for (const { text } of kept) {
    const answer = await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body: text });
    assert.deepEqual(answer.json, { result: 'ok' });
  }
});

test('a kid with two keys leaves the last good keyring in use', async () => {
  const room = await stack.stream();
  await stack.addKeyPair('e2');
  await reload();
  await until('e2 is published', async () => (await publishedKids()).includes('e2'));
  await signWith('e2');
  await stack.addKey('e2');
  await reload();
  const log = () => readFileSync(join(stack.directory, 'log/postgres.log'), 'utf8');
  await until('the log has the reason', () => /e2\.ed25519": duplicate key id "e2"/.test(log()));
  const answer = await send(sidecar.url, stack.user(), message(room));
  assert.deepEqual([answer.status, answer.json.kid], [200, 'e2']);
  checkEnvelope(answer.text, stack.keyring);
  assert.ok((await publishedKids()).includes('e2'));
  rmSync(join(stack.keyring, 'e2'));
  await reload();
});

test('without the database the public keys get 503', async () => {
  await stack.stop('postgres', 'SIGINT');
  const { status, headers, json } = await until('the keys cannot be read', async () => {
    const answer = await publicKeys();
    return answer.status !== 200 && answer;
  });
  assert.deepEqual([status, json.code, headers['access-control-allow-origin']], [503, 'database_unavailable', '*']);
  assert.equal(headers['cache-control'], 'no-store');
  await stack.startPostgres();
  await until('the keys can be read again', async () => (await publicKeys()).status === 200);
});
