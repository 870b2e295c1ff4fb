// The rules of a stream over HTTP and SQL: the slow mode of the gate, the refusals of admission, and reading the rules.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, url;
before(async () => {
  stack = await PrivateStack.create();
  url = (await stack.sidecar()).url;
});
after(() => stack?.close());

const setRules = (user, room, rules) =>
  request(`${url}/rpc/set_stream_rules`, { method: 'POST', headers: user.headers, body: { stream_id: room, rules } });
const rulesOf = (room, headers = {}) => request(`${url}/streams/${room}/rules`, { headers });

async function roomOf(owner, options) {
  const room = await stack.stream(options);
  await stack.grant(room, owner, 'owner');
  return room;
}

const NONE = {
  emote_only: false, hold_first: false, links: 'everyone', max_chars: null, raid_copies: null, raid_within_s: null, rate: null, senders: 'everyone',
  slow_mode_s: null, types: null, unique_s: null,
};

// Returns 'ok' or the code of the refusal.
async function outcomeOf(user, body) {
  const { status, json } = await send(url, user, body);
  return status === 200 ? 'ok' : json.code;
}

const codeFromSql = (user, body) => stack.sendFromSql(user, body).then(() => 'ok', (error) => error.detail.split(/\W/)[0]);

// The gate reads the streams in slow mode every 5 seconds.
async function slowed(room) {
  let answer;
  await until('the gate knows the slow mode', async () => {
    const guest = stack.user();
    await send(url, guest, message(room, 'first'));
    answer = await send(url, guest, message(room, 'second'));
    return answer.status === 429;
  }, 20_000);
  return answer;
}

test('in slow mode a guest waits between two messages, over HTTP and SQL; a moderator does not', async () => {
  const [owner, guest] = [stack.user(), stack.user()];
  const room = await roomOf(owner);
  const reader = await Subscriber.to(url, room);
  const changed = await setRules(owner, room, { slow_mode_s: 60 });
  assert.equal(changed.status, 200, changed.text);
  checkEnvelope(changed.text, stack.keyring);
  await until('readers are told', () => reader.frames.some(({ envelope }) => envelope.t === 'stream_rules'));
  assert.deepEqual(reader.frames.at(-1).envelope.d, { ...NONE, slow_mode_s: 60 });
  assert.equal((await setRules(owner, room, { slow_mode_s: 60 })).status, 204, 'nothing changes');

  const refused = await slowed(room);
  assert.equal(refused.json.code, 'slow_mode');
  const wait = Number(refused.headers['retry-after']);
  assert.ok(wait > 30 && wait <= 60, `Retry-After: ${wait}`);

  const first = message(room, 'one');
  assert.equal((await send(url, guest, first)).status, 200);
  assert.equal((await send(url, guest, message(room, 'two'))).json.code, 'slow_mode');
  const repeated = await send(url, guest, first);
  assert.deepEqual([repeated.status, repeated.headers['idempotency-replayed']], [200, 'true'], 'a retry does not wait');
  await assert.rejects(
    stack.sendFromSql(guest, message(room, 'three')),
    (error) => error.code === 'PT429' && /^slow_mode/.test(error.detail) && /^\d+ ms/.test(error.hint),
  );
  for (const text of ['a', 'b', 'c']) assert.equal((await send(url, owner, message(room, text))).status, 200);

  // After a pause the same message passes: its txn_id was not marked.
  const other = stack.user(); // with a rate of its own
  const waiting = message(room, 'later');
  assert.equal((await send(url, other, message(room, 'now'))).status, 200);
  assert.equal((await send(url, other, waiting)).json.code, 'slow_mode');
  await stack.redis('del', `sealcast:{${other.id}}:slow:${room}`);
  const later = await send(url, other, waiting);
  assert.deepEqual([later.status, later.headers['idempotency-replayed']], [200, undefined]);
  reader.close();
});

test('senders and types are refused at admission', async () => {
  const [owner, guest, vip] = [stack.user(), stack.user(), stack.user()];
  const room = await roomOf(owner);
  await stack.grant(room, vip, 'vip');
  assert.equal((await setRules(owner, room, { senders: 'members', types: ['chat'] })).status, 200);
  const codeOf = (user, t) => outcomeOf(user, { ...message(room, 'x'), t });
  assert.equal(await codeOf(guest, 'chat'), 'role_required');
  assert.equal(await codeOf(vip, 'chat'), 'ok');
  assert.equal(await codeOf(vip, 'reaction'), 'type_not_allowed');
  assert.equal(await codeOf(owner, 'reaction'), 'ok');
  assert.equal((await setRules(owner, room, { senders: null, types: null })).status, 200);
  assert.equal(await codeOf(guest, 'reaction'), 'ok');
});

test('the rules about text are refused over HTTP and SQL alike; a moderator is exempt', async () => {
  const owner = stack.user();
  const room = await roomOf(owner);
  // A new user each time, with a rate of its own.
  const say = async (role, text) => {
    const user = stack.user();
    if (role !== 'guest') await stack.grant(room, user, role);
    const outcomes = [await outcomeOf(user, message(room, text)), await codeFromSql(user, message(room, text))];
    assert.equal(outcomes[0], outcomes[1], text);
    return outcomes[0];
  };
  assert.equal((await setRules(owner, room, { max_chars: 20, links: ['vip'] })).status, 200);
  assert.equal(await say('guest', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}'.repeat(20)), 'ok');
  assert.equal(await say('guest', 'a'.repeat(21)), 'text_too_long');
  for (const role of ['guest', 'vip', 'moderator']) {
    assert.equal(await say(role, 'exam\u200bple.c\u043em'), role === 'guest' ? 'links_not_allowed' : 'ok');
  }
  assert.equal((await setRules(owner, room, { emote_only: true })).status, 200);
  assert.equal(await say('vip', 'hi'), 'emotes_only');
  assert.equal(await say('vip', ':wave: \u2764\ufe0f'), 'ok');
  assert.equal(await say('moderator', 'hi'), 'ok');
  const { status, json } = await send(url, stack.user(), message(room, 'hi'));
  assert.deepEqual({ status, ...json }, {
    status: 422, code: 'emotes_only', message: 'this stream takes only emotes now', details: null,
    hint: 'Send only emoji and names of emotes such as :heart:, or wait until the rule ends.',
  });
  assert.deepEqual((await rulesOf(room)).json, { ...NONE, emote_only: true, links: ['vip'], max_chars: 20 });
});

// The gate reads the rules every 5 seconds.
const awaitGate = (what, refuses) => until(`the gate knows ${what}`, refuses, 20_000);

test('a user does not repeat a text; a retry is no repeat', async () => {
  const owner = stack.user();
  const room = await roomOf(owner);
  assert.equal((await setRules(owner, room, { unique_s: 3600 })).status, 200);
  await awaitGate('the rule', async () => {
    const guest = stack.user();
    await send(url, guest, message(room, 'the same text'));
    const answer = await send(url, guest, message(room, 'The  SAME te\u200bxt'));
    if (answer.status === 200) return false;
    assert.equal(answer.json.code, 'text_repeated');
    const wait = Number(answer.headers['retry-after']);
    assert.ok(wait > 3500 && wait <= 3600, `Retry-After: ${wait}`);
    return true;
  });
  const guest = stack.user();
  const first = message(room, 'hello hello');
  assert.equal(await codeFromSql(guest, first), 'ok');
  assert.equal(await outcomeOf(guest, message(room, 'Hello, hello')), 'ok');
  assert.equal(await outcomeOf(guest, message(room, 'HELLO hello')), 'text_repeated', 'SQL and HTTP count together');
  assert.equal(await codeFromSql(guest, message(room, 'h\u00e9llo hello')), 'text_repeated');
  const repeated = await send(url, guest, first);
  assert.deepEqual([repeated.status, repeated.headers['idempotency-replayed']], [200, 'true']);
  for (const text of ['gg', 'gg']) assert.equal(await codeFromSql(stack.user(), message(room, text)), 'ok');
  for (const text of ['owner says', 'owner says']) assert.equal(await outcomeOf(owner, message(room, text)), 'ok');
});

test('only so many users send the same text', async () => {
  const owner = stack.user();
  const room = await roomOf(owner);
  assert.equal((await setRules(owner, room, { raid_copies: 2 })).status, 200);
  assert.equal((await rulesOf(room)).json.raid_within_s, 30);
  assert.equal((await setRules(owner, room, { raid_within_s: 3600 })).status, 200);
  let number = 0;
  await awaitGate('the rule', async () => {
    const text = `copy and paste ${number++}`;
    const outcomes = [];
    for (let i = 0; i < 3; i++) outcomes.push(await outcomeOf(stack.user(), message(room, text)));
    return outcomes[2] === 'text_copied';
  });
  const users = Array.from({ length: 4 }, () => stack.user());
  const raid = () => message(room, 'visit my channel');
  const first = raid();
  assert.equal(await outcomeOf(users[0], first), 'ok');
  assert.equal(await outcomeOf(users[0], first), 'ok', 'a retry');
  assert.equal(await codeFromSql(users[1], raid()), 'ok');
  assert.equal(await outcomeOf(users[2], raid()), 'text_copied');
  assert.equal(await codeFromSql(users[3], raid()), 'text_copied');
  assert.equal(await outcomeOf(users[2], message(room, 'something else')), 'ok');
  assert.equal(await outcomeOf(owner, raid()), 'ok');
  const { json, headers } = await send(url, users[2], raid());
  assert.equal(json.hint, 'Send another text, or wait.');
  assert.ok(Number(headers['retry-after']) > 3000, headers['retry-after']);
});

test('a stream lowers the rate of a type', async () => {
  const owner = stack.user();
  const room = await roomOf(owner);
  assert.equal((await setRules(owner, room, { rate: { chat: 6 } })).json.code, 'invalid_request');
  assert.equal((await setRules(owner, room, { rate: { chat: 1 } })).status, 200);
  await awaitGate('the rule', async () => {
    const guest = stack.user();
    const answers = await Promise.all([1, 2, 3, 4].map((n) => send(url, guest, message(room, `n ${n}`))));
    const refused = answers.find(({ status }) => status === 429);
    if (refused) assert.match(refused.headers['ratelimit-policy'], /q=1\b/);
    return refused?.json.code === 'rate_limited';
  });
});

test('whoever may read a stream may read its rules, and only owners and moderators may set them', async () => {
  const [owner, moderator, guest] = [stack.user(), stack.user(), stack.user()];
  const room = await roomOf(owner);
  await stack.grant(room, moderator, 'moderator');
  assert.deepEqual((await rulesOf(room)).json, NONE);
  assert.equal((await setRules(moderator, room, { senders: ['vip'] })).status, 200);
  assert.deepEqual((await rulesOf(room)).json, { ...NONE, senders: ['vip'] });
  for (const [answer, status, code] of [
    [await setRules(guest, room, { slow_mode_s: 5 }), 403, 'role_required'],
    [await setRules(owner, room, { slow_mode_s: 0 }), 400, 'invalid_request'],
    [await setRules(owner, room, undefined), 400, 'invalid_request'],
    [await rulesOf('nonsense'), 400, 'invalid_request'],
    [await rulesOf(guest.id), 404, 'stream_not_found'],
  ]) {
    assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
  }
  const hidden = await roomOf(owner, { visibility: 'private' });
  assert.equal((await rulesOf(hidden)).json.code, 'unauthenticated');
  assert.equal((await rulesOf(hidden, guest.headers)).json.code, 'role_required');
  assert.deepEqual((await rulesOf(hidden, owner.headers)).json, NONE);
});
