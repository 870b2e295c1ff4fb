// Forged, altered and misused JSON Web Tokens, sent to the real server.
import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { message, request } from './http.mjs';
import { nowSeconds } from './jwt.mjs';
import { PrivateStack, freePort } from './stack.mjs';

const ISSUER = 'https://issuer.example';
const AUDIENCE = 'sealcast';
const TOKEN_SECRET = 'a secret that the broker has too: 0123456789abcdef';

let stack, sidecar, room;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwkOf = (keys, kid) => ({ ...keys.publicKey.export({ format: 'jwk' }), kid });

before(async () => {
  stack = await PrivateStack.create();
  const file = (name, content) => {
    writeFileSync(join(stack.directory, name), content, { mode: 0o644 });
    return join(stack.directory, name);
  };
  sidecar = await stack.sidecar({
    SEALCAST_SESSION_JWKS_FILE: file('jwks.json', JSON.stringify({ keys: [jwkOf(rsa, 'r1'), jwkOf(ec, 'e1')] })),
    SEALCAST_SESSION_ISSUER: ISSUER,
    SEALCAST_SESSION_AUDIENCE: AUDIENCE,
    SEALCAST_MQTT_URL: `mqtt://127.0.0.1:${await freePort()}`, // no broker runs there, since tokens do not need one
    SEALCAST_MQTT_TOKEN_SECRET_FILE: file('mqtt-tokens', TOKEN_SECRET),
    SEALCAST_MQTT_PUBLIC_URL: 'wss://broker.example/mqtt',
  });
  room = await stack.stream();
});
after(async () => {
  await sidecar?.stop();
  await stack?.close();
});

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const hmac = (input, secret = stack.sessionSecret, hash = 'sha256') => createHmac(hash, secret).update(input).digest('base64url');

// A valid session of `user` with the given changes. `header` and `claims` may be JSON text, for example with duplicate members.
function session(user, { header = {}, claims = {}, signer = (input) => hmac(input) } = {}) {
  const head = typeof header === 'string' ? header : { alg: 'HS256', typ: 'JWT', ...header };
  const body = typeof claims === 'string' ? claims : { ...user.claims, iss: ISSUER, aud: AUDIENCE, ...claims };
  const input = `${encode(head)}.${encode(body)}`;
  return `${input}.${signer(input)}`;
}
const byRsa = (keys) => (input) => sign('sha256', Buffer.from(input), keys.privateKey).toString('base64url');
const byEc = (encoding) => (input) =>
  sign('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: encoding }).toString('base64url');

const send = (token) =>
  request(`${sidecar.url}/rpc/send_message`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: message(room),
  });

test('valid sessions are accepted', async () => {
  const upper = randomUUID().toUpperCase();
  const good = {
    HS256: {},
    RS256: { header: { alg: 'RS256', kid: 'r1' }, signer: byRsa(rsa) },
    ES256: { header: { alg: 'ES256', kid: 'e1' }, signer: byEc('ieee-p1363') },
    'an access token by RFC 9068': { header: { typ: 'at+jwt' } },
    'a type in full': { header: { typ: 'application/JWT' } },
    'no type': { header: { typ: undefined } },
    'one of several audiences': { claims: { aud: ['other', AUDIENCE] } },
    'a user in upper case': { claims: { sub: upper } },
  };
  for (const [what, how] of Object.entries(good)) {
    const user = stack.user(); // a new user, so that no rate limit applies
    const answer = await send(session(user, how));
    assert.equal(answer.status, 200, `${what}: ${answer.text}`);
    assert.equal(answer.json.s, how.claims?.sub?.toLowerCase() ?? user.id, what);
  }
});

test('every other session gets 401, and no message is stored', async () => {
  const user = stack.user();
  const now = nowSeconds();
  const genuine = session(user);
  const [head, body, signature] = genuine.split('.');
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  const jwk = JSON.stringify(jwkOf(rsa, 'r1'));
  const confused = (secret, header = {}) => session(user, { header: { kid: 'r1', ...header }, signer: (input) => hmac(input, secret) });
  const evil = { header: { alg: 'RS256', kid: 'r1' }, signer: byRsa(stranger) };
  const withKid = (kid) => session(user, { ...evil, header: { alg: 'RS256', kid } });
  const certificate = encode(stranger.publicKey.export({ type: 'spki', format: 'der' }));
  const claims = (text) => session(user, { claims: text });
  const forged = {
    'alg none': session(user, { header: { alg: 'none' }, signer: () => '' }),
    'alg None': session(user, { header: { alg: 'None' }, signer: () => '' }),
    'alg none under the secret': session(user, { header: { alg: 'none' } }),
    'an empty alg': session(user, { header: { alg: '' } }),
    'no alg': session(user, { header: { alg: undefined } }),
    'alg twice': session(user, { header: '{"alg":"none","alg":"HS256"}' }),
    'alg in a list': session(user, { header: { alg: ['HS256'] } }),
    'HS512 for HS256': session(user, { header: { alg: 'HS512' }, signer: (input) => hmac(input, stack.sessionSecret, 'sha512') }),
    'RS256 over an HMAC': session(user, { header: { alg: 'RS256', kid: 'r1' } }),
    'HS256 over an RSA signature': session(user, { header: { alg: 'HS256', kid: 'r1' }, signer: byRsa(rsa) }),
    'the public key (PEM) as the secret': confused(pem),
    'the public key (PEM without its last newline) as the secret': confused(pem.trimEnd()),
    'the public key (DER) as the secret': confused(rsa.publicKey.export({ type: 'spki', format: 'der' })),
    'the public key (PKCS #1) as the secret': confused(rsa.publicKey.export({ type: 'pkcs1', format: 'pem' })),
    'the public key (JWK) as the secret': confused(jwk),
    'the modulus as the secret': confused(Buffer.from(JSON.parse(jwk).n, 'base64url')),
    'an empty secret': session(user, { signer: (input) => hmac(input, '') }),
    'the issuer as the secret': session(user, { signer: (input) => hmac(input, ISSUER) }),
    'a stranger by a known kid': session(user, evil),
    'a kid that is a path': withKid('../../../../dev/null'),
    'a kid that is SQL': withKid("r1' or '1'='1"),
    'a kid that is a command': withKid('r1|/bin/true'),
    'a kid with NUL': withKid('r1\0'),
    'an unknown kid': withKid('r2'),
    'no kid': withKid(undefined),
    'an empty kid': withKid(''),
    'a kid that is a list': withKid(['r1']),
    'a kid that is no text': withKid({ kid: 'r1' }),
    'the kid of a key of another kind': session(user, { header: { alg: 'RS256', kid: 'e1' }, signer: byRsa(rsa) }),
    'PS256 by the RS256 key': session(user, { header: { alg: 'PS256', kid: 'r1' }, signer: byRsa(rsa) }),
    'ES256 in DER': session(user, { header: { alg: 'ES256', kid: 'e1' }, signer: byEc('der') }),
    'ES256 of zeros': session(user, { header: { alg: 'ES256', kid: 'e1' }, signer: () => encode('\0'.repeat(64)) }),
    'a key of its own (jwk)': session(user, { ...evil, header: { alg: 'RS256', jwk: jwkOf(stranger, 'r1') } }),
    'a key of its own (jwk) under a known kid': session(user, { ...evil, header: { alg: 'RS256', kid: 'r1', jwk: jwkOf(stranger, 'r1') } }),
    'a key set of its own (jku)': session(user, { ...evil, header: { alg: 'RS256', kid: 'r1', jku: `${sidecar.url}/jwks` } }),
    'a certificate of its own (x5u)': session(user, { ...evil, header: { alg: 'RS256', kid: 'r1', x5u: `${sidecar.url}/x` } }),
    'a certificate of its own (x5c)': session(user, { ...evil, header: { alg: 'RS256', kid: 'r1', x5c: [certificate] } }),
    'an extension that must be understood': session(user, { header: { crit: ['x'], x: 1 } }),
    'an unencoded payload (b64)': session(user, { header: { crit: ['b64'], b64: false } }),
    'a logout token': session(user, { header: { typ: 'logout+jwt' } }),
    'a DPoP proof': session(user, { header: { typ: 'dpop+jwt' } }),
    'a security event': session(user, { header: { typ: 'secevent+jwt' } }),
    'a type that is no text': session(user, { header: { typ: ['JWT'] } }),
    'another audience': session(user, { claims: { aud: 'other' } }),
    'no audience': session(user, { claims: { aud: undefined } }),
    'an audience that only begins alike': session(user, { claims: { aud: `${AUDIENCE}.example` } }),
    'another issuer': session(user, { claims: { iss: 'https://evil.example' } }),
    'an issuer with a slash more': session(user, { claims: { iss: `${ISSUER}/` } }),
    'no issuer': session(user, { claims: { iss: undefined } }),
    'not yet valid': session(user, { claims: { nbf: now + 3600 } }),
    'nbf no number': session(user, { claims: { nbf: 'now' } }),
    'no expiry': session(user, { claims: { exp: undefined } }),
    'an expiry in a text': session(user, { claims: { exp: `${now + 3600}` } }),
    'no user': session(user, { claims: { sub: undefined } }),
    'the system': session(user, { claims: { sub: '00000000-0000-0000-0000-000000000000' } }),
    'no UUID': session(user, { claims: { sub: 'admin' } }),
    'a UUID and more': session(user, { claims: { sub: `${user.id}'--` } }),
    'a UUID in braces': session(user, { claims: { sub: `{${user.id}}` } }),
    'two users': claims(`{"sub":"${user.id}","exp":${now + 60},"iss":"${ISSUER}","aud":"${AUDIENCE}","sub":"${randomUUID()}"}`),
    'two users, one of them escaped': claims(`{"sub":"${user.id}","exp":${now + 60},"iss":"${ISSUER}","aud":"${AUDIENCE}","su\\u0062":"${randomUUID()}"}`),
    'two expiries': claims(`{"sub":"${user.id}","exp":1,"iss":"${ISSUER}","aud":"${AUDIENCE}","exp":${now + 60}}`),
    'claims in a list': claims(`[{"sub":"${user.id}"}]`),
    'a signature cut off': `${head}.${body}.`,
    'no third part': `${head}.${body}`,
    'a shortened signature': `${head}.${body}.${signature.slice(0, -4)}`,
    'a padded signature': `${genuine}=`,
    'a longer signature': `${genuine}AAAA`,
    'a signature whose last bits are set': `${genuine.slice(0, -1)}${String.fromCharCode(genuine.charCodeAt(genuine.length - 1) + 1)}`,
    'a signature in base64': `${head}.${body}.${Buffer.from(signature, 'base64url').toString('base64')}`,
    'claims exchanged': `${head}.${encode({ ...user.claims, iss: ISSUER, aud: AUDIENCE, sub: randomUUID() })}.${signature}`,
    'five parts, as if encrypted': `${genuine}.${body}.${signature}`,
    'a JWS in JSON': JSON.stringify({ protected: head, payload: body, signature }),
    'a token too large': session(user, { claims: { x: 'x'.repeat(8192) } }),
  };
  for (const [what, token] of Object.entries(forged)) {
    const answer = await send(token);
    assert.equal(answer.status, 401, `${what}: ${answer.status} ${answer.text}`);
    assert.equal(answer.json.code, 'unauthenticated', what);
    assert.match(answer.headers['www-authenticate'], /^Bearer/, what);
    assert.ok(!answer.text.includes(user.id) && !answer.text.includes(signature), `${what}: the answer contains parts of the token`);
  }
  const expired = await send(session(user, { claims: { exp: now - 60 } }));
  assert.deepEqual([expired.status, expired.json.code], [401, 'token_expired']);
  const expiredAndForged = await send(session(user, { ...evil, claims: { exp: now - 60 } }));
  assert.equal(expiredAndForged.json.code, 'unauthenticated', 'only a valid signature gets token_expired');
  assert.deepEqual(await stack.query('select from sealcast.messages where sender_id = $1', [user.id]), []);
});

test('each kind of token is accepted only where it belongs', async () => {
  const privateRoom = await stack.stream({ visibility: 'private' });
  const member = stack.user();
  await stack.grant(privateRoom, member, 'vip');
  const authorization = `Bearer ${session(member)}`;
  const post = async (body) => (await request(`${sidecar.url}/streams/${privateRoom}/token`, { method: 'POST', headers: { authorization }, body })).json;
  const { access_token: ticket } = await post();
  const { token: transportToken } = await post({ transport: 'mqtt' });
  const tokens = {
    session: session(member),
    ticket,
    'transport token': transportToken,
    // Tokens with the claims of one kind, signed with the key of another kind.
    'a ticket under the session secret': session(member, { claims: { aud: [AUDIENCE, 'sealcast:subscribe'], stream_id: privateRoom } }),
    'a session under the secret of transport tokens': session(member, { signer: (input) => hmac(input, TOKEN_SECRET) }),
    'a ticket under the secret of transport tokens': session(member, {
      claims: { aud: 'sealcast:subscribe', stream_id: privateRoom },
      signer: (input) => hmac(input, TOKEN_SECRET),
    }),
    'a session under a hash of the secret': session(member, { signer: (input) => hmac(input, createHash('sha256').update(stack.sessionSecret).digest()) }),
  };
  const asBearer = { headers: (token) => ({ authorization: `Bearer ${token}` }), query: () => '' };
  const inQuery = { headers: () => ({}), query: (token) => `?access_token=${token}` };
  const history = (how, token) => request(`${sidecar.url}/streams/${privateRoom}/messages${how.query(token)}`, { headers: how.headers(token) });
  const routes = {
    'Authorization: send': async (token) => (await request(`${sidecar.url}/rpc/send_message`, { method: 'POST', headers: asBearer.headers(token), body: message(privateRoom) })).status === 200,
    'Authorization: read': async (token) => (await history(asBearer, token)).status === 200,
    'Authorization: ticket': async (token) => (await request(`${sidecar.url}/streams/${privateRoom}/token`, { method: 'POST', headers: asBearer.headers(token) })).status === 200,
    '?access_token: read': async (token) => (await history(inQuery, token)).status === 200,
    '?access_token: ticket': async (token) => (await request(`${sidecar.url}/streams/${privateRoom}/token${inQuery.query(token)}`, { method: 'POST' })).status === 200,
  };
  const accepted = {};
  for (const [what, token] of Object.entries(tokens)) {
    accepted[what] = [];
    for (const [route, accepts] of Object.entries(routes)) if (await accepts(token)) accepted[what].push(route);
  }
  const everything = ['Authorization: send', 'Authorization: read', 'Authorization: ticket'];
  assert.deepEqual(accepted, {
    session: everything,
    ticket: ['?access_token: read'],
    'transport token': [],
    'a ticket under the session secret': everything, // this is a valid session
    'a session under the secret of transport tokens': [],
    'a ticket under the secret of transport tokens': [],
    'a session under a hash of the secret': [],
  });
});

