// Notices: a user learns at once what has changed for them in a stream, on each of their event streams and on no other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Subscriber, message, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const NIL = '00000000-0000-0000-0000-000000000000';
const SECOND = { SEALCAST_GATE_SOCKET: '' }; // the first sidecar listens there
let stack, sidecar, other;
before(async () => {
  stack = await PrivateStack.create();
  [sidecar, other] = [await stack.sidecar(), await stack.sidecar(SECOND)];
});
after(() => stack?.close());

const open = (streamId, user, { at = sidecar, ...more } = {}) => Subscriber.to(at.url, streamId, { headers: user?.headers, ...more });
const contents = (reader) => reader.notices.map(({ d }) => d);
const kinds = (reader) => reader.notices.map(({ d }) => d.kind);
const noticed = (reader, ...expected) =>
  until(`the notices ${expected}, not ${kinds(reader)}`, () => kinds(reader).join() === expected.join());
const ended = (reader) => until('the event stream ends', () => !reader.open);
const close = (...readers) => readers.forEach((reader) => reader.close());

// The roles are given without triggers, so that they are no news.
async function room(visibility = 'public', members = 2) {
  const streamId = await stack.stream({ visibility });
  const moderator = stack.user();
  const users = Array.from({ length: members }, () => stack.user());
  const roles = [[moderator, 'moderator'], ...(visibility === 'private' ? users.map((user) => [user, 'member']) : [])];
  const values = roles.map(([{ id }, role]) => `('${streamId}', '${id}', '${role}')`);
  await stack.query(`begin; set local session_replication_role = replica; insert into sealcast.stream_roles (stream_id, user_id, role) values ${values}; commit`);
  return [streamId, moderator, ...users];
}

async function rpc(user, name, body) {
  const answer = await request(`${sidecar.url}/rpc/${name}`, { method: 'POST', headers: user.headers, body });
  assert.ok(answer.status < 300, answer.text);
}

test('a ban reaches every event stream of the user, sealed, and nobody else', async () => {
  const [streamId, moderator, banned, bystander] = await room();
  const { access_token: ticket } = (await request(`${sidecar.url}/streams/${streamId}/token`, { method: 'POST', headers: banned.headers })).json;
  const theirs = [
    await open(streamId, banned),
    await open(streamId, banned, { at: other }),
    await open(streamId, undefined, { query: `?access_token=${ticket}` }),
  ];
  const others = [await open(streamId, moderator), await open(streamId, bystander, { at: other }), await open(streamId)];
  assert.equal((await send(sidecar.url, bystander, message(streamId))).status, 200);
  for (const reader of [...theirs, ...others]) await reader.received(1);
  const ids = theirs.map(({ lastEventId }) => lastEventId);
  const end = new Date(Date.now() + 3_600_000);
  await rpc(moderator, 'ban', { stream_id: streamId, user_id: banned.id, until: end.toISOString(), reason: 'spam', note: 'a bot, I think' });
  for (const reader of theirs) {
    await noticed(reader, 'banned');
    const [notice] = reader.notices;
    assert.deepEqual([notice.t, notice.s, notice.stream_id], ['user_notice', NIL, streamId]);
    assert.deepEqual(notice.d, { kind: 'banned', stream_id: streamId, user_id: banned.id, until: end.getTime(), reason: 'spam', role: null });
    assert.equal((await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body: notice })).json.result, 'ok');
    const forged = { ...notice, d: { ...notice.d, until: null } };
    assert.equal((await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body: forged })).json.result, 'bad_signature');
  }
  assert.deepEqual(theirs.map(({ lastEventId }) => lastEventId), ids, 'a notice does not move the resume point');
  // The event streams of a public stream go on, with the next offset: a notice is no message.
  assert.equal((await send(sidecar.url, bystander, message(streamId))).status, 200);
  for (const reader of [...theirs, ...others]) assert.deepEqual((await reader.received(2)).map(({ offset, prev }) => [offset, prev]), [[1, 0], [2, 1]]);
  assert.deepEqual(others.map(contents), [[], [], []]);
  assert.equal((await request(`${sidecar.url}/streams/${streamId}/messages`)).json.messages.length, 2);
  for (const process of [sidecar, other]) assert.doesNotMatch(process.tail(), /a bot, I think|spam/);
  close(...theirs, ...others);
});

test('in a private stream, the notice comes and the event stream ends', async () => {
  const [streamId, moderator, banned, demoted] = await room('private', 3);
  const readers = [await open(streamId, banned), await open(streamId, demoted), await open(streamId, demoted, { query: '?channel=vip' })];
  const staying = await open(streamId, moderator);
  await rpc(moderator, 'ban', { stream_id: streamId, user_id: banned.id });
  await rpc(moderator, 'set_role', { stream_id: streamId, user_id: demoted.id, role: null });
  for (const reader of readers) await ended(reader);
  assert.deepEqual(readers.map(kinds), [['banned'], ['role_changed'], ['role_changed']]);
  assert.deepEqual(contents(readers[1])[0].role, null);
  const reason = ({ comments }) => comments.find((line) => line.startsWith(': ended'));
  assert.deepEqual(readers.map(reason), [': ended user_banned', ': ended role_required', ': ended role_required']);
  assert.ok(staying.open);
  assert.deepEqual(contents(staying), []);
  close(staying);
});

test('mutes that are set, changed and lifted, a role, and a ban in all streams', async () => {
  const [streamId, moderator, user] = await room();
  const elsewhere = await stack.stream();
  const reader = await open(streamId, user);
  const second = await open(elsewhere, user, { at: other });
  const body = { stream_id: streamId, user_id: user.id };
  await rpc(moderator, 'mute', { ...body, reason: 'calm down', until: new Date(Date.now() + 60_000).toISOString() });
  await noticed(reader, 'muted');
  await rpc(moderator, 'mute', { ...body, reason: 'for good' });
  await noticed(reader, 'muted', 'muted');
  assert.deepEqual([contents(reader)[1].until, contents(reader)[1].reason], [null, 'for good']);
  await rpc(moderator, 'unmute', body);
  await noticed(reader, 'muted', 'muted', 'unmuted');
  await rpc(moderator, 'set_role', { ...body, role: 'vip' });
  await noticed(reader, 'muted', 'muted', 'unmuted', 'role_changed');
  assert.equal(contents(reader)[3].role, 'vip');
  assert.deepEqual(contents(second), []);
  await stack.query("insert into sealcast.restrictions (user_id, kind) values ($1, 'ban')", [user.id]);
  await noticed(second, 'banned');
  await noticed(reader, 'muted', 'muted', 'unmuted', 'role_changed', 'banned');
  assert.deepEqual([second.notices[0].stream_id, second.notices[0].d.stream_id], [NIL, null]);
  close(reader, second);
});

test('a stream that closes, becomes private or is deleted: its readers with a session learn it, and then those who may not read end', async () => {
  const [streamId, moderator, user] = await room();
  const [member, guest, anonymous] = [await open(streamId, moderator), await open(streamId, user, { at: other }), await open(streamId)];
  await stack.query('update sealcast.streams set closed_at = now() where stream_id = $1', [streamId]);
  for (const reader of [member, guest]) await noticed(reader, 'stream_closed');
  assert.equal(contents(guest)[0].user_id, null);
  await stack.query("update sealcast.streams set visibility = 'private' where stream_id = $1", [streamId]);
  for (const reader of [guest, anonymous]) await ended(reader);
  assert.deepEqual([kinds(guest), kinds(anonymous)], [['stream_closed', 'stream_private'], []]);
  await stack.query('delete from sealcast.streams where stream_id = $1', [streamId]);
  await ended(member);
  assert.deepEqual(kinds(member), ['stream_closed', 'stream_private', 'stream_deleted']);
});

test('a reader who connects later gets the restrictions in force first, and learns that one has ended meanwhile', async () => {
  const [streamId, moderator, user, bystander] = await room();
  const body = { stream_id: streamId, user_id: user.id };
  const restarted = await stack.sidecar(SECOND);
  const reader = await open(streamId, user, { at: restarted });
  await restarted.stop();
  await rpc(moderator, 'mute', { ...body, reason: 'missed' });
  await ended(reader);
  const back = await open(streamId, user, { lastEventId: reader.lastEventId });
  await until('`ready`', () => back.ready);
  // A change at this moment may come twice: as the state, and as news.
  assert.deepEqual([...new Set(contents(back).map(({ kind, reason }) => `${kind}: ${reason}`))], ['muted: missed']);
  close(back);
  await rpc(moderator, 'unmute', body);
  const again = await open(streamId, user, { lastEventId: back.lastEventId });
  await until('`ready`', () => again.ready);
  assert.deepEqual([...new Set(kinds(again))], ['unmuted']);
  const notices = async (as) => (await request(`${sidecar.url}/streams/${streamId}/notices`, { headers: as?.headers }));
  assert.deepEqual((await notices(user)).json.notices.map(({ d }) => d.kind), ['unmuted']);
  assert.deepEqual((await notices(bystander)).json, { notices: [] });
  assert.equal((await notices()).status, 401);
  close(again);
});

test('a change for thousands of users costs one notice for each who reads', async () => {
  const [streamId, , first] = await room();
  const users = Array.from({ length: 2500 }, () => stack.user());
  const reading = [users[0], users[1200], users[2499]];
  const readers = await Promise.all([...reading, first].map((user) => open(streamId, user)));
  await stack.query("insert into sealcast.restrictions (user_id, stream_id, kind) select u, $2, 'mute' from unnest($1::uuid[]) u", [users.map(({ id }) => id), streamId]);
  for (const reader of readers.slice(0, 3)) await noticed(reader, 'muted');
  assert.deepEqual(contents(readers[3]), []);
  close(...readers);
});

test('notices go on after Postgres was away', async () => {
  const [streamId, moderator, user] = await room();
  await stack.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'sealcast%' and pid <> pg_backend_pid()");
  await until('the sidecars are ready again', async () => (await Promise.all([sidecar.ready(), other.ready()])) && true);
  const reader = await open(streamId, user, { at: other });
  await rpc(moderator, 'mute', { stream_id: streamId, user_id: user.id });
  await noticed(reader, 'muted');
  close(reader);
});
