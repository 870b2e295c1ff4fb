// Reports and the moderation log over HTTP.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack, url;
before(async () => {
  stack = await PrivateStack.create();
  url = (await stack.sidecar()).url;
});
after(() => stack?.close());

// Each user has 5 calls per second, so a call beyond them is repeated.
async function patient(call) {
  let answer;
  await until('the rate allows a call', async () => (answer = await call()).status !== 429 || Number(answer.headers['retry-after']) > 1);
  return answer;
}
const headers = (user) => (user ? { authorization: `Bearer ${user.token()}` } : {});
const call = (user, name, body) => patient(() => request(`${url}/rpc/${name}`, { method: 'POST', headers: headers(user), body }));
const read = (user, room, path) => patient(() => request(`${url}/streams/${room}/${path}`, { headers: headers(user) }));
const outcome = ({ status, json }) => [status, json?.code];

// A stream with an owner and a moderator, and two messages of a guest.
async function room(visibility = 'public') {
  const [owner, moderator, guest] = [stack.user(), stack.user(), stack.user()];
  const id = await stack.stream({ visibility });
  await stack.grant(id, owner, 'owner');
  await stack.grant(id, moderator, 'moderator');
  if (visibility === 'private') await stack.grant(id, guest, 'member');
  const texts = [];
  for (const content of ['first', 'second']) texts.push((await send(url, guest, message(id, content))).text);
  await until('both messages have offsets', async () => (await stack.query('select 1 from sealcast.history($1)', [id])).length === 2);
  return { id, owner, moderator, guest, texts };
}

test('a reported message is in the queue until a moderator closes it, and the closing is in the log', async () => {
  const { id, owner, moderator, guest, texts } = await room();
  const [a, b] = [stack.user(), stack.user()];
  const report = (user, offset, more) => call(user, 'report_message', { stream_id: id, offset, ...more });
  assert.deepEqual((await report(a, 1)).json, true);
  assert.deepEqual((await report(a, 2, { reason: 'insults me', category: 'harassment' })).json, true);
  assert.deepEqual((await report(b, 2)).json, true);
  assert.deepEqual((await report(b, 2, { reason: 'again' })).json, false);

  const queue = await read(moderator, id, 'reports');
  assert.equal(queue.status, 200, queue.text);
  assert.deepEqual(queue.json.reports.map(({ offset, reporters }) => [offset, reporters]), [[2, 2], [1, 1]]);
  const [first] = queue.json.reports;
  assert.deepEqual([first.categories, first.reasons, first.outcome], [{ harassment: 1, none: 1 }, ['insults me'], null]);
  assert.ok(queue.text.includes(texts[1]), 'the envelope is in the answer byte for byte');
  for (const user of [a, b]) assert.ok(!queue.text.includes(user.id), 'no reporter is named');
  assert.deepEqual((await read(moderator, id, 'reports?limit=1&after=2')).json.reports.map(({ offset }) => offset), [1]);

  // The evidence survives the message.
  await stack.query('delete from sealcast.messages where stream_id = $1', [id]);
  assert.ok((await read(moderator, id, 'reports')).text.includes(texts[1]));
  assert.deepEqual(outcome(await report(stack.user(), 2)), [404, 'message_not_found']);

  const close = { stream_id: id, offset: 2, outcome: 'acted', reason: 'muted' };
  assert.deepEqual((await call(moderator, 'resolve_report', close)).json, true);
  assert.deepEqual((await call(moderator, 'resolve_report', close)).json, false);
  assert.deepEqual((await read(owner, id, 'reports')).json.reports.map(({ offset }) => offset), [1]);
  assert.deepEqual((await read(owner, id, 'reports?resolved=true')).json.reports.map((r) => [r.offset, r.outcome, r.resolved_by]), [[2, 'acted', moderator.id]]);

  assert.equal((await call(moderator, 'mute', { stream_id: id, user_id: guest.id, reason: 'spam', note: 'for us' })).status, 204);
  const { entries } = (await read(owner, id, `moderation_log?user_id=${guest.id}`)).json;
  assert.deepEqual(entries.map((e) => [e.act, e.user_id, e.actor_id, e.actor_rank, e.reason]), [
    ['mute', guest.id, moderator.id, 'moderator', 'spam'],
    ['resolve_report', guest.id, moderator.id, 'moderator', 'muted'],
  ]);
  assert.deepEqual([entries[0].before, entries[0].after.note, entries[1].before], [null, 'for us', { outcome: null }]);
  assert.ok(!('login' in entries[0]));
  const older = (await read(owner, id, `moderation_log?limit=1&before=${entries[0].entry_id}`)).json.entries;
  assert.deepEqual(older.map((e) => e.entry_id), [entries[1].entry_id]);
});

test('reports and the log are refused as the functions refuse them', async () => {
  const { id, moderator, guest } = await room('private');
  const [stranger, banned] = [stack.user(), stack.user()];
  await stack.grant(id, banned, 'member');
  await stack.query('select sealcast.ban($1, $2)', [id, banned.id]);
  const nowhere = stack.user().id;
  for (const [user, name, body, status, code] of [
    [null, 'report_message', { stream_id: id, offset: 1 }, 401, 'unauthenticated'],
    [stranger, 'report_message', { stream_id: id, offset: 1 }, 403, 'role_required'],
    [banned, 'report_message', { stream_id: id, offset: 1 }, 403, 'user_banned'],
    [guest, 'report_message', { stream_id: id, offset: 1 }, 403, 'role_required'],
    [moderator, 'report_message', { stream_id: id, offset: 3 }, 404, 'message_not_found'],
    [moderator, 'report_message', { stream_id: nowhere, offset: 1 }, 404, 'stream_not_found'],
    [moderator, 'report_message', { stream_id: id, offset: 'x' }, 400, 'invalid_request'],
    [moderator, 'report_message', { stream_id: id, offset: 1, note: 'x' }, 400, 'invalid_request'],
    [guest, 'resolve_report', { stream_id: id, offset: 1, outcome: 'acted' }, 403, 'role_required'],
    [moderator, 'resolve_report', { stream_id: id, offset: 1, outcome: 'acted' }, 404, 'message_not_found'],
  ]) {
    assert.deepEqual(outcome(await call(user, name, body)), [status, code], `${name} ${JSON.stringify(body)}`);
  }
  for (const path of ['reports', 'moderation_log']) {
    assert.deepEqual(outcome(await read(null, id, path)), [401, 'unauthenticated'], path);
    assert.deepEqual(outcome(await read(guest, id, path)), [403, 'role_required'], path);
    assert.deepEqual(outcome(await read(moderator, nowhere, path)), [404, 'stream_not_found'], path);
    assert.deepEqual(outcome(await read(moderator, 'x', path)), [400, 'invalid_request'], path);
    assert.deepEqual(outcome(await read(moderator, id, `${path}?limit=501`)), [400, 'invalid_request'], path);
    assert.deepEqual(outcome(await read(moderator, id, `${path}?limit=x%00"`)), [400, 'invalid_request'], path);
    assert.deepEqual(outcome(await read(moderator, id, `${path}?channel=vip`)), [400, 'invalid_request'], path);
  }
});

test('a user who has made 20 reports within an hour is told when to report again', async () => {
  const { id } = await room();
  const reporter = stack.user();
  await stack.query('insert into sealcast.reports (stream_id, "offset", reporter_id) select gen_random_uuid(), 1, $1 from generate_series(1, 20)', [reporter.id]);
  const refused = await call(reporter, 'report_message', { stream_id: id, offset: 1 });
  assert.deepEqual(outcome(refused), [429, 'rate_limited'], refused.text);
  const wait = Number(refused.headers['retry-after']);
  assert.ok(wait > 3500 && wait <= 3600, `Retry-After is ${wait}`);
});
