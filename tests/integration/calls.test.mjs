// POST /rpc/{function}: moderation and migration calls with a session.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';

let stack, url;
before(async () => {
  stack = await PrivateStack.create();
  url = (await stack.sidecar()).url;
});
after(() => stack?.close());

const call = (user, name, body) =>
  request(`${url}/rpc/${name}`, {
    method: 'POST',
    headers: user ? { authorization: `Bearer ${user.token()}` } : {},
    body,
  });

async function roomOf(owner) {
  const room = await stack.stream();
  await stack.grant(room, owner, 'owner');
  return room;
}

test('an owner mutes a user, who is refused until the owner unmutes the user', async () => {
  const [owner, guest] = [stack.user(), stack.user()];
  const room = await roomOf(owner);
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const muted = await call(owner, 'mute', { stream_id: room, user_id: guest.id, until, reason: 'spam' });
  assert.deepEqual([muted.status, muted.text], [204, '']);
  const refused = await send(url, guest, message(room, 'hello'));
  assert.equal(refused.status, 403);
  assert.equal(refused.json.code, 'user_muted');
  assert.deepEqual((await call(owner, 'unmute', { stream_id: room, user_id: guest.id })).json, true);
  assert.deepEqual((await call(owner, 'unmute', { stream_id: room, user_id: guest.id })).json, false);
  assert.equal((await send(url, guest, message(room, 'hello'))).status, 200);
});

test('a call is refused with the verdict of its function, in the form of all errors', async () => {
  const [owner, guest] = [stack.user(), stack.user()];
  const room = await roomOf(owner);
  const target = { stream_id: room, user_id: owner.id };
  for (const [user, name, body, status, code] of [
    [null, 'mute', target, 401, 'unauthenticated'],
    [guest, 'ban', target, 403, 'role_required'],
    [guest, 'set_role', { ...target, role: 'owner' }, 403, 'role_required'],
    [guest, 'migrate_transport', { stream_id: room, target: 'sse' }, 403, 'role_required'],
    [stack.user(), 'mute', { ...target, stream_id: guest.id }, 404, 'stream_not_found'],
    [stack.user(), 'mute', { ...target, stream_id: 'x' }, 400, 'invalid_request'],
    [stack.user(), 'mute', { ...target, extra: 1 }, 400, 'invalid_request'],
    [stack.user(), 'mute', '[', 400, 'invalid_request'],
    [stack.user(), 'mute', '', 400, 'invalid_json'],
    [stack.user(), 'maintain', {}, 404, 'not_found'],
    [null, 'maintain', {}, 404, 'not_found'],
  ]) {
    const answer = await call(user, name, body);
    assert.deepEqual([answer.status, answer.json.code], [status, code], `${name}: ${answer.text}`);
    assert.deepEqual(Object.keys(answer.json), ['code', 'message', 'details', 'hint']);
  }
});

test('a banned moderator and an owner who is banned everywhere may do nothing', async () => {
  const [owner, moderator, guest] = [stack.user(), stack.user(), stack.user()];
  const room = await roomOf(owner);
  await stack.grant(room, moderator, 'moderator');
  await stack.query('select sealcast.ban($1, $2)', [room, guest.id]);
  const target = { stream_id: room, user_id: guest.id };
  const attempts = async (user, status, code) => {
    for (const [name, body] of [
      ['ban', target],
      ['unban', target],
      ['set_role', { ...target, role: 'vip' }],
    ]) {
      const answer = await call(user, name, body);
      assert.deepEqual([answer.status, answer.json?.code], [status, code], `${name}: ${answer.text}`);
    }
  };
  const ban = { stream_id: room, user_id: moderator.id, reason: 'for you', note: 'for us' };
  assert.equal((await call(owner, 'ban', ban)).status, 204);
  await attempts(moderator, 403, 'user_banned');
  const own = await call(moderator, 'unban', { ...target, user_id: moderator.id });
  assert.deepEqual([own.status, own.json.code], [403, 'role_required']);
  const [row] = await stack.query('select reason, note, issuer_rank from sealcast.restrictions_of($1, $2)', [room, moderator.id]);
  assert.deepEqual(row, { reason: 'for you', note: 'for us', issuer_rank: 'owner' });

  await stack.query('select sealcast.ban(null, $1)', [owner.id]);
  await attempts(owner, 403, 'user_banned');
  const moved = await call(owner, 'migrate_transport', { stream_id: room, target: 'sse' });
  assert.deepEqual([moved.status, moved.json.code], [403, 'user_banned']);
});

test('calls have a separate rate limit', async () => {
  const [owner, guest] = [stack.user(), stack.user()];
  const room = await roomOf(owner);
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => call(owner, 'unmute', { stream_id: room, user_id: guest.id })),
  );
  const limited = answers.filter(({ status }) => status === 429);
  assert.ok(limited.length >= 1, 'twelve calls at once exceed the limit');
  assert.equal(limited[0].json.code, 'rate_limited');
  assert.equal(limited[0].headers['ratelimit-policy'], '"call";q=5;w=1');
  assert.ok(limited[0].headers['retry-after']);
  assert.equal((await send(url, owner, message(room, 'hello'))).status, 200, 'calls do not count as messages');
});

test('an owner moves the readers of a stream by a sealed message of the system', async () => {
  const owner = stack.user();
  const room = await roomOf(owner);
  await send(url, owner, message(room, 'before'));
  const moved = await call(owner, 'migrate_transport', { stream_id: room, target: 'sse', overlap_ms: 300 });
  assert.equal(moved.status, 200, moved.text);
  checkEnvelope(moved.text, stack.keyring);
  assert.equal(moved.json.t, 'transport_migrate');
  assert.equal(moved.json.s, '00000000-0000-0000-0000-000000000000');
  assert.deepEqual(moved.json.d, { overlap_ms: 300, spread_ms: 0, target: 'sse', type: 'migrate' });
  const elsewhere = await call(owner, 'migrate_transport', { stream_id: room, target: 'mqtt' });
  assert.deepEqual([elsewhere.status, elsewhere.json.code], [400, 'invalid_request'], 'the sidecar does not publish to mqtt');
});

test('a moderator blocks terms over HTTP; the sender does not learn which term was found', async () => {
  const [owner, moderator, guest] = [stack.user(), stack.user(), stack.user()];
  const room = await roomOf(owner);
  await stack.grant(room, moderator, 'moderator');
  const block = async (body) => {
    const added = await call(owner, 'add_blocked_term', { stream_id: room, ...body });
    assert.equal(added.status, 200, added.text);
    return added.json;
  };
  const refusing = await block({ term: 'darn' });
  await block({ term: 'frak*', kind: 'wildcard', action: 'mask' });
  const flagging = await block({ term: 'casino', whole_word: false, action: 'flag' });
  const invalid = await call(owner, 'add_blocked_term', { stream_id: room, term: 'a(b', kind: 'pattern' });
  assert.deepEqual([invalid.status, invalid.json.code, invalid.json.details], [400, 'invalid_request', 'at byte 0: missing ): a(b']);

  const refused = await send(url, guest, message(room, 'D\u200bárn it'));
  assert.deepEqual([refused.status, refused.json], [422, {
    code: 'content_refused', message: 'this message contains something that is not allowed here', details: null, hint: 'Change the message.' }]);
  const original = message(room, 'frakking casinos');
  const sent = await send(url, guest, original);
  assert.equal(sent.json.d.content, '******** casinos');
  checkEnvelope(sent.text, stack.keyring);
  const again = await send(url, guest, original);
  assert.deepEqual([again.headers['idempotency-replayed'], again.json], ['true', sent.json]);

  const hits = await call(moderator, 'term_hits_of', { stream_id: room });
  assert.deepEqual(hits.json.map((hit) => [hit.action, hit.term_id, hit.sender_id, hit.txn_id === original.txn_id]),
    [['flag', flagging, guest.id, true], ['refuse', refusing, guest.id, false]]);
  const terms = await call(moderator, 'blocked_terms_of', { stream_id: room });
  assert.deepEqual(terms.json.map((term) => term.term), ['casino', 'frak*', 'darn']);
  for (const name of ['term_hits_of', 'blocked_terms_of']) {
    assert.equal((await call(guest, name, { stream_id: room })).json.code, 'role_required');
  }

  assert.equal((await call(owner, 'remove_blocked_term', { term_id: refusing })).json, true);
  assert.equal((await send(url, guest, message(room, 'darn'))).status, 200, 'a change reaches the connections of the sidecar');
});
