// The methods of moderators, and onRules, against a sidecar.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient, SealcastError } from '../../client/index.js';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { Reader } from './reader.mjs';

const NO_RULES = {
  emote_only: false, hold_first: false, links: 'everyone', max_chars: null, raid_copies: null, raid_within_s: null, rate: null, senders: 'everyone',
  slow_mode_s: null, types: null, unique_s: null,
};
const TEN_MINUTES = 600_000;

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
});
after(() => stack?.close());

const clientOf = (user) => createClient({ url: sidecar.url, token: user.token() });

// A stream with a moderator and a user, and the clients of both.
async function room() {
  const [streamId, moderator, user] = [await stack.stream(), stack.user(), stack.user()];
  await stack.grant(streamId, moderator, 'moderator');
  return { streamId, moderator, user, ofModerator: clientOf(moderator), ofUser: clientOf(user) };
}

const say = (client, streamId, content) => client.sendMessage(streamId, 'chat', { content });
const refusalOf = (call) => call.then(() => assert.fail('the call was not refused'), (error) => error);
const hasOffset = (client, streamId, offset) => until(`message ${offset} has its offset`, async () => (await client.messages(streamId)).last >= offset);

test('mute() until a time, with a reason and a purge; unmute() ends it', async () => {
  const { streamId, user, ofModerator, ofUser } = await room();
  for (const content of ['one', 'two']) await say(ofUser, streamId, content);
  await hasOffset(ofUser, streamId, 2);
  const end = Date.now() + TEN_MINUTES;
  assert.equal(await ofModerator.mute(streamId, user.id, { until: end, reason: 'spam', note: 'again', purgeMs: TEN_MINUTES }), undefined);
  const refusal = await refusalOf(say(ofUser, streamId, 'three'));
  assert.ok(refusal instanceof SealcastError);
  assert.deepEqual([refusal.status, refusal.code, refusal.retryable], [403, 'user_muted', false]);
  assert.ok(refusal.retryAfterMs > TEN_MINUTES / 2 && refusal.retryAfterMs <= TEN_MINUTES + 1000, `${refusal.retryAfterMs} ms`);
  const { messages } = await ofUser.messages(streamId, { limit: 2, before: 3 });
  assert.deepEqual(messages.map(({ envelope }) => envelope.d), [null, null]);
  const [row] = await stack.query('select reason, note from sealcast.restrictions where user_id = $1', [user.id]);
  assert.deepEqual(row, { reason: 'spam', note: 'again' });
  assert.equal(await ofModerator.unmute(streamId, user.id), true);
  assert.equal(await ofModerator.unmute(streamId, user.id), false);
  await say(ofUser, streamId, 'three');
});

test('ban() without options is for ever, and unban() ends it', async () => {
  const { streamId, user, ofModerator, ofUser } = await room();
  await ofModerator.ban(streamId, user.id);
  const refusal = await refusalOf(say(ofUser, streamId, 'x'));
  assert.deepEqual([refusal.code, refusal.retryAfterMs], ['user_banned', null]);
  assert.equal(await ofModerator.unban(streamId, user.id), true);
  await say(ofUser, streamId, 'x');
});

test('setRole() gives a role and removes it, and a caller without the rank is refused', async () => {
  const { streamId, user, ofModerator, ofUser } = await room();
  const roleOf = async () => (await stack.query('select role from sealcast.stream_roles where stream_id = $1 and user_id = $2', [streamId, user.id]))[0]?.role;
  await ofModerator.setRole(streamId, user.id, 'vip');
  assert.equal(await roleOf(), 'vip');
  await ofModerator.setRole(streamId, user.id, null);
  assert.equal(await roleOf(), undefined);
  const calls = [
    () => ofUser.setRole(streamId, user.id, 'vip'),
    () => ofUser.setRules(streamId, {}),
    () => ofUser.reports(streamId),
    () => ofUser.moderationLog(streamId),
  ];
  for (const call of calls) assert.equal((await refusalOf(call())).code, 'role_required');
});

test('onRules gets the rules in force first and then each change, and a slow mode tells how long to wait, without a retry', async () => {
  const { streamId, ofModerator, ofUser } = await room();
  assert.deepEqual(await ofUser.rules(streamId), NO_RULES);
  const seen = [];
  const reader = new Reader(ofUser, streamId, { onRules: (rules) => seen.push(rules) });
  await until('the rules are there', () => seen.length === 1);
  const sealed = await ofModerator.setRules(streamId, { slow_mode_s: 60 });
  assert.deepEqual([sealed.t, sealed.d], ['stream_rules', { ...NO_RULES, slow_mode_s: 60 }]);
  assert.equal(await ofModerator.setRules(streamId, { slow_mode_s: 60 }), null);
  await until('the change is there', () => seen.length === 2);
  assert.deepEqual(seen, [NO_RULES, sealed.d]);
  const refusal = await until('the gate knows the slow mode', async () => {
    const outcome = await say(ofUser, streamId, 'x').catch((error) => error);
    return outcome.code === 'slow_mode' && outcome;
  });
  assert.deepEqual([refusal.status, refusal.retryable], [429, true]);
  assert.ok(refusal.retryAfterMs > 0 && refusal.retryAfterMs <= 60_000, `${refusal.retryAfterMs} ms`);
  await say(ofModerator, streamId, 'moderators are exempt');

  await ofModerator.setRules(streamId, { slow_mode_s: null, senders: 'members' });
  await until('the second change is there', () => seen.length === 3);
  await until('the gate knows that the slow mode has ended', async () => (await refusalOf(say(ofUser, streamId, 'x'))).code === 'role_required');
  await reader.close();

  // A reader of the whole history gets only the rules in force, not the old ones of the history.
  const late = [];
  const whole = new Reader(ofModerator, streamId, { from: 0, onRules: (rules) => late.push(rules) });
  await until('the reader of the history has the rules', () => late.length > 0);
  await ofModerator.setRules(streamId, { senders: 'everyone' });
  await until('the last change is there', () => late.length === 2);
  assert.deepEqual(late, [{ ...NO_RULES, senders: 'members' }, NO_RULES]);
  assert.equal(whole.frames.filter(({ envelope }) => envelope.t === 'stream_rules').length, 3);
  assert.deepEqual([...reader.errors, ...whole.errors], []);
  await whole.close();
});

test('the queue of reports: pages, closing, and what is closed; the log has the act', async () => {
  const { streamId, moderator, ofModerator, ofUser } = await room();
  for (const content of ['fine', 'spam', 'insult']) await say(ofUser, streamId, content);
  await hasOffset(ofUser, streamId, 3);
  const reporters = [clientOf(stack.user()), clientOf(stack.user())];
  for (const reporter of reporters) await reporter.report(streamId, 3, { category: 'harassment', reason: 'rude' });
  await reporters[0].report(streamId, 2);
  const [first] = await ofModerator.reports(streamId, { limit: 1 });
  assert.deepEqual([first.offset, first.reporters, first.categories, first.reasons, first.envelope.d.content], [3, 2, { harassment: 2 }, ['rude', 'rude'], 'insult']);
  const [second, ...more] = await ofModerator.reports(streamId, { after: first.offset });
  assert.deepEqual([second.offset, second.categories, more], [2, { none: 1 }, []]);
  assert.equal(await ofModerator.resolveReport(streamId, 3, 'acted', { reason: 'deleted' }), true);
  assert.equal(await ofModerator.resolveReport(streamId, 3, 'acted'), false);
  assert.deepEqual((await ofModerator.reports(streamId)).map(({ offset }) => offset), [2]);
  const colleague = stack.user(); // a user has 5 calls per second
  await stack.grant(streamId, colleague, 'moderator');
  const ofColleague = clientOf(colleague);
  const [closed] = await ofColleague.reports(streamId, { resolved: true });
  assert.deepEqual([closed.offset, closed.outcome, closed.resolved_by], [3, 'acted', moderator.id]);
  const [entry, ...older] = await ofColleague.moderationLog(streamId, { limit: 1 });
  assert.deepEqual([entry.act, entry.actor_id, entry.reason, older], ['resolve_report', moderator.id, 'deleted', []]);
  assert.deepEqual(await ofColleague.moderationLog(streamId, { userId: randomUUID(), before: entry.entry_id }), []);
});

test('blocked terms are listed, added with their kind and action, and removed; hits come in pages', async () => {
  const { streamId, ofModerator, ofUser } = await room();
  const termId = await ofModerator.addBlockedTerm(streamId, 'frak*', { kind: 'wildcard', wholeWord: false, action: 'flag' });
  const [term, ...others] = await ofModerator.blockedTerms(streamId);
  assert.deepEqual([term.term_id, term.term, term.kind, term.whole_word, term.action, others], [termId, 'frak*', 'wildcard', false, 'flag', []]);
  for (const content of ['fraks', 'frakking']) await say(ofUser, streamId, content);
  const [newest] = await ofModerator.termHits(streamId, { limit: 1 });
  const [older, ...none] = await ofModerator.termHits(streamId, { before: newest.at, beforeHit: newest.hit_id });
  assert.deepEqual([newest.term_id, older.term_id, older.action, none], [termId, termId, 'flag', []]);
  const again = clientOf(stack.user());
  assert.equal(await again.removeBlockedTerm(streamId, termId), false);
  assert.equal(await ofModerator.removeBlockedTerm(streamId, termId), true);
});

for (const code of ['slow_mode', 'text_repeated', 'text_copied']) {
  test(`sendMessage() does not send a message again that is refused with ${code}, so that later messages to the stream are not held up`, async () => {
    let refused = false;
    const { url, requests } = await serveAnswers((_, response, body) => {
      if (refused) return sendJson(response, seal(body));
      refused = true;
      sendJson(response, { code, message: 'm', details: null, hint: null }, 429, { 'retry-after': '1' });
    });
    const [client, streamId] = [createClient({ url }), randomUUID()];
    const [first, second] = await Promise.allSettled(['one', 'two'].map((content) => say(client, streamId, content)));
    assert.deepEqual([first.reason.code, first.reason.retryAfterMs, second.status], [code, 1000, 'fulfilled']);
    assert.deepEqual(requests.map(({ body }) => JSON.parse(body).d.content), ['one', 'two']);
  });
}

test('wrong arguments are refused before a request', async () => {
  const client = createClient({ url: 'https://chat.example', fetch: () => assert.fail('there was a request') });
  for (const [call, message] of [
    [client.mute(''), /mute\(\): streamId must be a text/],
    [client.ban('x'), /ban\(\): userId must be a text/],
    [client.mute('x', 'y', { until: '10 minutes' }), /mute\(\): until must be a Date, or Unix milliseconds.*not "10 minutes"/],
    [client.mute('x', 'y', { purge: '10 minutes' }), /unknown option "purge"; the options are until, reason, note, purgeMs/],
    [client.ban('x', 'y', { purgeMs: Infinity }), /purgeMs must be a finite number/],
    [client.unban('x', 'y', { reason: 'z' }), /unban\(\): unknown option "reason"/],
    [client.setRole('x', 'y'), /role must be a text.*or null, not undefined/],
    [client.setRules('x', 'slow'), /rules must be an object/],
    [client.reports('x', { limit: 0 }), /limit must be an integer from 1 to 500/],
    [client.resolveReport('x', 1, 'ignored'), /outcome must be "dismissed" or "acted", not "ignored"/],
    [client.moderationLog('x', { before: 7 }), /before must be a text/],
    [client.addBlockedTerm('x', ''), /term must be a text/],
    [client.addBlockedTerm('x', 'y', { kind: 'regex' }), /kind must be "literal" or "wildcard" or "pattern"/],
    [client.removeBlockedTerm('x'), /termId must be a text/],
    [client.termHits('x', { limit: 1001 }), /limit must be an integer from 1 to 1000/],
  ]) {
    await assert.rejects(call, { name: 'TypeError', message });
  }
});

test('heldMessages(), approve() and deny()', async () => {
  const { streamId, ofModerator, ofUser } = await room();
  // Each moderator may make five calls a second.
  const another = stack.user();
  await stack.grant(streamId, another, 'moderator');
  const ofAnother = clientOf(another);
  await ofModerator.addBlockedTerm(streamId, 'giveaway', { action: 'hold' });
  const answers = [];
  for (const n of [1, 2]) answers.push(await say(ofUser, streamId, `giveaway ${n}`));
  assert.deepEqual(answers.map(({ held }) => held), [true, true]);
  const waiting = await ofModerator.heldMessages(streamId);
  assert.deepEqual(waiting.map(({ d, txn_id: txn }) => [d.content, txn]), answers.map(({ txn_id: txn }, i) => [`giveaway ${i + 1}`, txn]));
  const [first, second] = waiting.map(({ held_id: id }) => id);
  assert.deepEqual(await ofModerator.heldMessages(streamId, { limit: 1, after: first }), waiting.slice(1));
  assert.equal((await refusalOf(ofUser.heldMessages(streamId))).code, 'role_required');
  const envelope = await ofAnother.approve(streamId, first);
  assert.equal(envelope.d.content, 'giveaway 1');
  assert.deepEqual(await ofAnother.approve(streamId, first), envelope);
  assert.equal(await ofAnother.deny(streamId, second, { reason: 'spam' }), true);
  assert.equal(await ofAnother.deny(streamId, second), false);
  assert.deepEqual(await ofAnother.heldMessages(streamId), []);
  await hasOffset(ofUser, streamId, 1);
});

test('pin() and unpin(), and the state of the stream', async () => {
  const { streamId, ofModerator, ofUser } = await room();
  const sent = await say(ofUser, streamId, 'read this');
  await hasOffset(ofUser, streamId, 1);
  const pinned = await ofModerator.pin(streamId, 1, { note: 'the rules' });
  assert.deepEqual([pinned.t, pinned.d.offset, pinned.d.txn_id, pinned.d.note], ['pinned', 1, sent.txn_id, 'the rules']);
  assert.equal(await ofModerator.pin(streamId, 1, { note: 'the rules' }), null);
  const pins = async () => (await ofUser.state(streamId)).messages.filter(({ envelope }) => envelope.t === 'pinned').map(({ envelope }) => envelope.d.offset);
  await until('the pin is in the state', async () => (await pins())[0] === 1);
  const refusal = await refusalOf(ofUser.unpin(streamId));
  assert.deepEqual([refusal.status, refusal.code], [403, 'role_required']);
  assert.equal((await ofModerator.unpin(streamId)).d.offset, null);
  assert.equal(await ofModerator.unpin(streamId), null);
  await until('the state has no pin', async () => (await pins())[0] === null);
});
