// Authority with several concurrent sessions: what was checked stays true until the transaction ends, and a restriction
// counts at once, also in a transaction that has an older snapshot.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Database, makeStreams } from './sql_database.mjs';
import { until } from './waiting.mjs';

let database;
let admin;
let room;

before(async () => {
  database = await Database.create();
  admin = await database.connect();
});
after(() => database?.drop());

const roleOf = async (user) =>
  (await admin.query('select role from sealcast.stream_roles where (stream_id, user_id) = ($1, $2)', [room, user])).rows[0]?.role;

// Makes a private stream with one user for each of the roles. Resolves with the users' ids.
async function staffed(roles) {
  [room] = await makeStreams(admin, 1);
  await admin.query("update sealcast.streams set visibility = 'private' where stream_id = $1", [room]);
  const users = roles.map(() => randomUUID());
  await admin.query('insert into sealcast.stream_roles (stream_id, user_id, role) select $1, u, r from unnest($2::uuid[], $3::text[]) x (u, r)', [
    room,
    users,
    roles,
  ]);
  return users;
}

// A connection of a user, as a gateway makes it, in an open transaction.
async function begin(user, isolation = 'read committed') {
  const client = await database.connect();
  await client.query(`begin isolation level ${isolation}; set local role sealcast_user`);
  await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify({ sub: user })]);
  const { rows } = await client.query('select pg_backend_pid() as pid');
  client.pid = rows[0].pid;
  return client;
}

const waits = async (client) =>
  (await admin.query('select wait_event_type from pg_stat_activity where pid = $1', [client.pid])).rows[0].wait_event_type === 'Lock';
const setRole = (client, user, role) => client.query('select sealcast.set_role($1, $2, $3)', [room, user, role]);
const refused = (call, code) => assert.rejects(call, (error) => error.detail?.split(':')[0] === code || assert.fail(error));

test('a moderator does not demote a user whom an owner makes a moderator at the same time', async () => {
  const [owner, moderator, member] = await staffed(['owner', 'moderator', 'vip']);
  const [first, second] = [await begin(owner), await begin(moderator)];
  await setRole(first, member, 'moderator');
  const call = refused(setRole(second, member, 'subscriber'), 'role_required');
  await until('the second one waits for the first', () => waits(second));
  await first.query('commit');
  await call;
  assert.equal(await roleOf(member), 'moderator');
});

test('of two owners who remove each other one stays', async () => {
  const [a, b] = await staffed(['owner', 'owner']);
  const [first, second] = [await begin(a), await begin(b)];
  await setRole(first, b, null);
  const call = refused(setRole(second, a, null), 'role_required');
  await until('the second one waits for the first', () => waits(second));
  await first.query('commit');
  await call;
  assert.deepEqual([await roleOf(a), await roleOf(b)], ['owner', undefined]);
});

test('a moderator who is banned at the same time does not act any more', async () => {
  const [owner, moderator, member] = await staffed(['owner', 'moderator', 'vip']);
  const [first, second] = [await begin(owner), await begin(moderator)];
  await first.query('select sealcast.ban($1, $2)', [room, moderator]);
  const call = refused(second.query('select sealcast.ban($1, $2)', [room, member]), 'user_banned');
  await until('the second one waits for the first', () => waits(second));
  await first.query('commit');
  await call;
});

for (const isolation of ['read committed', 'repeatable read', 'serializable']) {
  test(`a ban counts at once in an open transaction: ${isolation}`, async () => {
    const [moderator, member] = await staffed(['moderator', 'vip']);
    const client = await begin(moderator, isolation);
    const attempt = async (sql, parameters) => {
      await client.query('savepoint before');
      try {
        return (await client.query(sql, parameters)).rows;
      } catch (error) {
        return error.detail?.split(':')[0] ?? error.message;
      } finally {
        await client.query('rollback to before');
      }
    };
    const send = ["select sealcast.send_message($1, 'chat', '{}', gen_random_uuid()) is not null as sent", [room]];
    const mute = ['select sealcast.mute($1, $2)', [room, member]];
    const read = ['select sealcast.caller_can_read($1) as readable, count(*)::int as seen from sealcast.streams where stream_id = $1', [room]];
    assert.deepEqual(await attempt(...send), [{ sent: true }]);
    assert.deepEqual(await attempt(...read), [{ readable: true, seen: 1 }]);
    await admin.query('select sealcast.ban(null, $1)', [moderator]);
    assert.equal(await attempt(...send), 'user_banned');
    assert.equal(await attempt(...mute), 'user_banned');
    assert.deepEqual(await attempt(...read), [{ readable: false, seen: 0 }]);
    await admin.query('select sealcast.unban(null, $1)', [moderator]);
    assert.deepEqual(await attempt(...send), [{ sent: true }]);
    await admin.query('delete from sealcast.stream_roles where (stream_id, user_id) = ($1, $2)', [room, moderator]);
    assert.equal(await attempt(...send), 'role_required');
    assert.equal(await attempt(...mute), 'role_required');
    assert.deepEqual(await attempt(...read), [{ readable: false, seen: 0 }]);
    await client.query('rollback');
  });
}

test('admission does not wait for an open transaction that moderates the stream', async () => {
  const [owner, member] = await staffed(['owner', 'vip']);
  const [first, second] = [await begin(owner), await begin(member)];
  await first.query('select sealcast.mute($1, $2)', [room, randomUUID()]);
  await second.query("set local lock_timeout = '1s'");
  await second.query("select sealcast.send_message($1, 'chat', '{}', gen_random_uuid())", [room]);
  await Promise.all([first.query('rollback'), second.query('rollback')]);
});
