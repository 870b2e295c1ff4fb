// Who may not read any more: open event streams end within seconds, and new requests are refused. Also the limits of what
// callers without a session can cause.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Subscriber, message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar({ SEALCAST_HTTP_CORS_ORIGINS: '*' });
});
after(() => stack?.close());

const ban = (user, streamId) =>
  stack.query("insert into sealcast.restrictions (user_id, stream_id, kind) values ($1, $2, 'ban')", [user.id, streamId]);
const ended = (reader) => until('the event stream ends', () => !reader.open);
const reason = (reader) => reader.comments.find((line) => line.startsWith(': ended'));
const read = (streamId, user, path = 'messages') => request(`${sidecar.url}/streams/${streamId}/${path}`, { headers: user?.headers });

async function members(visibility, count) {
  const streamId = await stack.stream({ visibility });
  const users = Array.from({ length: count }, () => stack.user());
  for (const user of users) await stack.grant(streamId, user, 'member');
  return [streamId, ...users];
}

test('a banned user, a user without the role and an expired session are cut off, and the others read on', async () => {
  const [room, banned, demoted, expiring, member] = await members('private', 4);
  const expires = Math.floor(Date.now() / 1000) + 1;
  const brief = { authorization: `Bearer ${expiring.token({ exp: expires })}` };
  const open = (user, headers = user.headers) => Subscriber.to(sidecar.url, room, { headers });
  const [a, b, c, d] = [await open(banned), await open(demoted), await open(expiring, brief), await open(member)];
  const ticket = (await request(`${sidecar.url}/streams/${room}/token`, { method: 'POST', headers: banned.headers })).json.access_token;
  const byTicket = await Subscriber.to(sidecar.url, room, { query: `?access_token=${ticket}` });
  await ban(banned, room);
  await stack.query('delete from sealcast.stream_roles where user_id = $1', [demoted.id]);
  await Promise.all([a, b, c, byTicket].map(ended));
  assert.deepEqual([a, b, c, byTicket].map(reason), [
    ': ended user_banned', ': ended role_required', ': ended token_expired', ': ended user_banned',
  ]);
  assert.equal((await send(sidecar.url, member, message(room))).status, 200);
  await d.received(1);
  d.close();

  for (const path of ['messages', 'events']) assert.equal((await read(room, banned, path)).json.code, 'user_banned', path);
  assert.equal((await read(room, demoted)).json.code, 'role_required');
  const again = await request(`${sidecar.url}/streams/${room}/events?access_token=${ticket}`);
  assert.deepEqual([again.status, again.json.code], [403, 'user_banned']);
});

test('a stream that becomes private or is deleted, and the vip channel without the role, are cut off', async () => {
  const [room, vip, banned] = await members('public', 2);
  const anonymous = await Subscriber.to(sidecar.url, room);
  const member = await Subscriber.to(sidecar.url, room, { headers: vip.headers });
  const vips = await Promise.all([vip, banned].map(({ headers }) => Subscriber.to(sidecar.url, room, { headers, query: '?channel=vip' })));
  await ban(banned, room);
  await ended(vips[1]);
  assert.equal(reason(vips[1]), ': ended user_banned');
  assert.equal((await read(room, banned)).status, 200, 'a public stream is readable for everybody');
  await stack.query("update sealcast.streams set visibility = 'private' where stream_id = $1", [room]);
  await ended(anonymous);
  assert.equal(reason(anonymous), ': ended unauthenticated');
  assert.ok(member.open && vips[0].open);
  await stack.query('delete from sealcast.stream_roles where stream_id = $1', [room]);
  await ended(vips[0]);
  assert.equal(reason(vips[0]), ': ended role_required');
  await ended(member);

  const gone = await stack.stream();
  const reader = await Subscriber.to(sidecar.url, gone);
  await stack.query('delete from sealcast.streams where stream_id = $1', [gone]);
  await ended(reader);
});

test('a vip reader of a public stream is cut off when the role is taken, also with a ticket', async () => {
  const [room, demoted, member] = await members('public', 2);
  const ticket = (await request(`${sidecar.url}/streams/${room}/token`, { method: 'POST', headers: demoted.headers })).json.access_token;
  const query = '?channel=vip';
  const leaving = [
    await Subscriber.to(sidecar.url, room, { headers: demoted.headers, query }),
    await Subscriber.to(sidecar.url, room, { query: `${query}&access_token=${ticket}` }),
  ];
  const staying = [
    await Subscriber.to(sidecar.url, room, { headers: member.headers, query }),
    await Subscriber.to(sidecar.url, room, { headers: demoted.headers }),
  ];
  await stack.query('delete from sealcast.stream_roles where user_id = $1', [demoted.id]);
  await Promise.all(leaving.map(ended));
  assert.deepEqual(leaving.map(reason), [': ended role_required', ': ended role_required']);
  assert.equal((await send(sidecar.url, member, message(room))).status, 200);
  for (const reader of staying) {
    await reader.received(1);
    reader.close();
  }
});

test('pages of other origins may use the API, but not the metrics', async () => {
  const [room] = await members('public', 0);
  const origin = { origin: 'https://other.example' };
  const allowed = async (path, more) =>
    (await request(`${sidecar.url}${path}`, { headers: { ...origin, ...more?.headers }, ...more })).headers['access-control-allow-origin'];
  for (const path of [`/streams/${room}/messages`, '/regions', '/openapi.json', '/rpc/verify']) assert.equal(await allowed(path), '*', path);
  for (const path of ['/metrics', '/healthz', '/readyz', '/demo.json', '/', '/nowhere']) assert.equal(await allowed(path), undefined, path);
  const preflight = (path) =>
    request(`${sidecar.url}${path}`, { method: 'OPTIONS', headers: { ...origin, 'access-control-request-method': 'GET' } });
  assert.equal((await preflight('/rpc/send_message')).status, 204);
  assert.equal((await preflight('/rpc/send_message')).headers['access-control-allow-origin'], '*', 'a preflight names the origins');
  const refused = await preflight('/metrics');
  assert.equal(refused.status, 405);
  assert.equal(refused.headers['access-control-allow-origin'], undefined);
});

test('a body that is not declared as JSON is refused', async () => {
  const [room, member] = await members('public', 1);
  const post = (path, type, body) =>
    request(`${sidecar.url}${path}`, { method: 'POST', headers: { ...member.headers, 'content-type': type }, body });
  for (const path of [`/streams/${room}/heartbeat`, `/streams/${room}/token`, '/rpc/verify', '/rpc/mute', '/rpc/send_message']) {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
      const answer = await post(path, type, '{"viewer_id":"a"}');
      assert.deepEqual([answer.status, answer.json.code], [415, 'unsupported_media_type'], `${path} ${type}`);
    }
  }
  assert.equal((await post(`/streams/${room}/heartbeat`, 'Application/JSON ; charset=utf-8', '{"viewer_id":"a"}')).status, 204);
});

test('an envelope for /rpc/verify may be as large as the largest message type allows, and no larger', async () => {
  const [room, member] = await members('public', 1);
  const sent = await send(sidecar.url, member, message(room, 'x'.repeat(16_000)));
  const verify = (body) => request(`${sidecar.url}/rpc/verify`, { method: 'POST', body });
  assert.deepEqual((await verify(sent.text)).json, { result: 'ok' });
  const answer = await verify(`{"v":1${' '.repeat(16_384 + 1024)}}`);
  assert.deepEqual([answer.status, answer.json.code], [413, 'payload_too_large']);
});
