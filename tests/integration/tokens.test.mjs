// Tokens for other transports, by POST /streams/{id}/token with a body: the requests that get one, and its content.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mayAtEmqx, realTopic } from '../contracts/emqx.mjs';
import { ContractService } from './contract_service.mjs';
import { request } from './http.mjs';
import { nowSeconds } from './jwt.mjs';
import { PrivateStack, freePort } from './stack.mjs';
import { until } from './waiting.mjs';

const TOKEN_SECRET = 'a secret that the broker has too: 0123456789abcdef';
const TTL = 120;

let stack, ably, sidecar, plain;
before(async () => {
  stack = await PrivateStack.create();
  ably = await ContractService.start('ably');
  const secretFile = join(stack.directory, 'mqtt-tokens');
  writeFileSync(secretFile, TOKEN_SECRET, { mode: 0o644 });
  sidecar = await stack.sidecar({
    SEALCAST_MQTT_URL: `mqtt://127.0.0.1:${await freePort()}`, // no broker runs there, since tokens do not need one
    SEALCAST_MQTT_TOKEN_SECRET_FILE: secretFile,
    SEALCAST_MQTT_PUBLIC_URL: 'wss://broker.example/mqtt',
    SEALCAST_MQTT_VIP_TOPIC: 'sealcast-vip/{stream_id}',
    SEALCAST_ABLY_URL: ably.url,
    SEALCAST_ABLY_KEY_FILE: ably.keyFile,
    SEALCAST_ABLY_CA_FILE: ably.certificates,
    SEALCAST_SESSION_TRANSPORT_TOKEN_TTL_S: String(TTL),
  });
  plain = await stack.sidecar({ SEALCAST_GATE_SOCKET: '' });
});
after(async () => {
  await ably?.close();
  await stack?.close();
});

const exchange = (room, body, { user, url = sidecar.url } = {}) =>
  request(`${url}/streams/${room}/token`, { method: 'POST', headers: user?.headers, body });

function refused(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.json.code, code, answer.text);
}

// A stream with a member, and another user.
async function room(visibility) {
  const streamId = await stack.stream({ visibility });
  const [member, other] = [stack.user(), stack.user()];
  await stack.grant(streamId, member, 'member');
  return { streamId, member, other };
}

// Publishes and subscriptions to a topic, to its neighbours, and to the topics to which EMQX gives a meaning.
function everyRequest(own) {
  const [first, last] = own.split('/');
  const plain = [own, `${own}/`, `/${own}`, `${own}/x`, first, `${first}/`, `${first}/other`, last, 'other', `${first.toUpperCase()}/${last}`];
  const special = ['$SYS/brokers', '$file/1/init', '$events/client_connected', '$delayed/5/', '$queue/', '$share/group/', '$exclusive/', '$q/', '$stream/', '$'];
  const topics = [...plain, ...special.flatMap((prefix) => [prefix, ...plain.map((topic) => prefix + topic)])];
  const wildcards = ['#', '+', '+/#', '+/+', `${first}/#`, `${first}/+`, `+/${last}`, `${own}/#`, '$SYS/#', '$share/group/#', '$share/group/+/+', '$queue/#', '$exclusive/#', '$file/#'];
  return [
    ...topics.map((topic) => ({ action: 'publish', topic })),
    ...[...topics, ...wildcards].map((topic) => ({ action: 'subscribe', topic })),
  ];
}

// Checks the signature of a JWT; returns its claims.
function claimsOf(token) {
  const [head, claims, signature] = token.split('.');
  assert.equal(createHmac('sha256', TOKEN_SECRET).update(`${head}.${claims}`).digest('base64url'), signature);
  assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url')), { alg: 'HS256', typ: 'JWT' });
  return JSON.parse(Buffer.from(claims, 'base64url'));
}

test('a token for a public stream needs no session, and allows to subscribe to one topic until it expires', async () => {
  const { streamId, other } = await room('public');
  for (const user of [undefined, other]) {
    const began = nowSeconds();
    const answer = await exchange(streamId.toUpperCase(), { transport: 'mqtt' }, { user });
    assert.equal(answer.status, 200, answer.text);
    const { token, ...rest } = answer.json;
    const topic = `sealcast/${streamId}`;
    assert.deepEqual(rest, { transport: 'mqtt', channel_id: topic, url: 'wss://broker.example/mqtt', expires_in: TTL });
    const { iat, exp, ...claims } = claimsOf(token);
    assert.ok(exp >= began + TTL && exp <= nowSeconds() + TTL);
    assert.equal(exp - iat, TTL + 10, '10 s are added, since clocks differ');
    assert.deepEqual(claims, {
      ...(user && { username: user.id }),
      acl: { sub: [topic] },
    });
  }
});

test('a token for a private stream always needs the session of a member', async () => {
  const { streamId, member, other } = await room('private');
  const mqtt = { transport: 'mqtt' };
  refused(await exchange(streamId, mqtt), 401, 'unauthenticated');
  refused(await exchange(streamId, mqtt, { user: other }), 403, 'role_required');
  const given = await exchange(streamId, mqtt, { user: member });
  assert.equal(claimsOf(given.json.token).ends_connection, true, 'the member may lose the right to read');
  const lives = [];
  for (let i = 0; i < 20; i++) lives.push((await exchange(streamId, mqtt, { user: member })).json.expires_in);
  assert.ok(lives.every((life) => life >= (TTL * 3) / 4 && life <= TTL) && new Set(lives).size > 1, `the connections of members end at different times: ${lives}`);
  const { iat, exp } = claimsOf(given.json.token);
  assert.equal(exp - iat, given.json.expires_in + 10);
  refused(await exchange('00000000-0000-0000-0000-00000000dead', mqtt), 404, 'stream_not_found');
  const over = { headers: { authorization: `Bearer ${member.token({ exp: nowSeconds() - 60 })}` } };
  refused(await exchange(streamId, mqtt, { user: over }), 401, 'token_expired');

  await stack.query("insert into sealcast.restrictions (user_id, stream_id, kind) values ($1, $2, 'ban')", [member.id, streamId]);
  refused(await exchange(streamId, mqtt, { user: member }), 403, 'user_banned');
  refused(await exchange(streamId, undefined, { user: member }), 403, 'user_banned');
});

test('a stream that becomes private gives no more tokens without a session', async () => {
  const { streamId } = await room('public');
  assert.equal((await exchange(streamId, { transport: 'mqtt' })).status, 200);
  await stack.query("update sealcast.streams set visibility = 'private' where stream_id = $1", [streamId]);
  await until('no token', async () => (await exchange(streamId, { transport: 'mqtt' })).status === 401);
});

test('a token for the vip channel needs a role in the stream', async () => {
  for (const visibility of ['public', 'private']) {
    const { streamId, member, other } = await room(visibility);
    const vip = { transport: 'mqtt', channel: 'vip' };
    const answer = await exchange(streamId, vip, { user: member });
    assert.equal(answer.json.channel_id, `sealcast-vip/${streamId}`, answer.text);
    const claims = claimsOf(answer.json.token);
    assert.deepEqual([claims.acl, claims.ends_connection], [{ sub: [`sealcast-vip/${streamId}`] }, true]);
    refused(await exchange(streamId, vip, { user: other }), 403, 'role_required');
    assert.equal((await exchange(streamId, vip)).status, visibility === 'public' ? 403 : 401);
    const none = await exchange(streamId, { transport: 'ably', channel: 'vip' }, { user: member });
    refused(none, 400, 'invalid_request');
    assert.match(none.json.message, /no vip channel/);
  }
});

test('by the rules of EMQX, a token allows to subscribe to its topic and denies all else, whatever other rules allow', async () => {
  const { streamId, member } = await room('public');
  for (const channel of ['public', 'vip']) {
    const answer = await exchange(streamId, { transport: 'mqtt', channel }, { user: member });
    const [own, { acl }] = [answer.json.channel_id, claimsOf(answer.json.token)];
    const allowed = ({ action, topic }) => mayAtEmqx(acl, action, topic, true);
    const wanted = ({ action, topic }) => action === 'subscribe' && realTopic(action, topic) === own;
    assert.deepEqual(everyRequest(own).filter(allowed), everyRequest(own).filter(wanted));
  }
});

test('the rules of EMQX find the topics that a list of rules does not deny', () => {
  const list = [
    { permission: 'allow', action: 'subscribe', topic: 'sealcast/one' },
    { permission: 'deny', action: 'all', topic: '#' },
  ];
  const may = (action, topic) => mayAtEmqx(list, action, topic, true);
  assert.deepEqual([may('subscribe', 'sealcast/one'), may('subscribe', 'sealcast/two'), may('subscribe', '#')], [true, false, false]);
  assert.deepEqual([may('publish', 'sealcast/one'), may('publish', '$file/1/init'), may('subscribe', '$SYS/#')], [false, true, true]);
});

test('an Ably token is a signed request for one Ably channel', async () => {
  const { streamId, other } = await room('public');
  const answer = await exchange(streamId, { transport: 'ably' });
  const { token, ...rest } = answer.json;
  assert.ok(!('clientId' in token), 'a reader without a session has no clientId');
  assert.equal((await exchange(streamId, { transport: 'ably' }, { user: other })).json.token.clientId, other.id);
  assert.deepEqual(rest, { transport: 'ably', channel_id: `sealcast:${streamId}`, expires_in: TTL });
  assert.deepEqual(JSON.parse(token.capability), { [`sealcast:${streamId}`]: ['subscribe'] });
  assert.equal(token.keyName, 'the.key');
  assert.equal(token.ttl, TTL * 1000);
  assert.ok(!answer.text.includes('secret'));
});

test('a transport without tokens is refused, and the answer lists the transports with tokens', async () => {
  const { streamId } = await room('public');
  for (const transport of ['sse', 'supabase', 'mqtt_vip', 'carrier-pigeon']) {
    const answer = await exchange(streamId, { transport });
    refused(answer, 400, 'invalid_request');
    assert.match(answer.json.details, /ably, mqtt/);
    if (transport === 'supabase') assert.match(answer.json.hint, /realtime\.messages/);
  }
  const answer = await exchange(streamId, { transport: 'mqtt' }, { url: plain.url });
  refused(answer, 400, 'invalid_request');
  assert.match(answer.json.details, /this server issues tokens for no transport/);
});

test('an invalid body is refused, and a request without a body gets a ticket for events', async () => {
  const { streamId, member } = await room('public');
  refused(await exchange(streamId, '{"transport":'), 400, 'invalid_json');
  for (const member of ['more', 'ticket']) refused(await exchange(streamId, { transport: 'mqtt', [member]: 'a' }), 400, 'invalid_request');
  refused(await exchange(streamId, { transport: 'x'.repeat(20_000) }), 413, 'payload_too_large');
  refused(await exchange(streamId, undefined), 401, 'unauthenticated');
  const ticket = await exchange(streamId, undefined, { user: member });
  assert.deepEqual(Object.keys(ticket.json), ['access_token', 'expires_in']);
});

test('tokens and tickets are not logged', async () => {
  const { streamId, member } = await room('public');
  const { token } = (await exchange(streamId, { transport: 'mqtt' })).json;
  const { access_token: ticket } = (await exchange(streamId, undefined, { user: member })).json;
  const log = sidecar.log.join('\n');
  for (const secret of [ticket, token, TOKEN_SECRET]) assert.ok(!log.includes(secret));
});
