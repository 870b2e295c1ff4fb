// Erasing a user: when it has ended, no path gives what they wrote, and the things of others are as before. It goes on after
// each kind of interruption.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { dice } from './dice.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { RedisTarget } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const run = promisify(execFile);
const CANARY = 'canary-of-an-erased-user';
const OTHER_CANARY = 'canary-of-another-one';

let stack, target, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  target = await RedisTarget.start(stack);
  sidecar = await stack.sidecar({
    SEALCAST_REDIS_STREAMS_URL: target.url,
    SEALCAST_REDIS_EVENTS_URL: target.url,
    SEALCAST_GATE_TIMEOUT_MS: '5000',
  });
  await until('the transports have begun', async () => (await stack.query('select from sealcast.delivery_status')).length >= 2);
});
after(() => stack.close());

const call = (name, user, body) => request(`${sidecar.url}/rpc/${name}`, { method: 'POST', headers: user.headers, body });
const get = async (path, user) => (await request(`${sidecar.url}${path}`, { headers: user?.headers })).text;

// The arguments of the command, and its environment: the private server, as its superuser.
function command(user) {
  const { host, port, user: name, database } = stack.postgres;
  return { program: process.env.SEALCASTD ?? 'build/sealcastd', parameters: ['erase-user', user.id, '--dsn', `host=${host} port=${port} user=${name} dbname=${database}`] };
}
async function erase(user) {
  const { program, parameters } = command(user);
  return (await run(program, parameters)).stdout;
}
async function dump() {
  const { host, port, user, database } = stack.postgres;
  return (await run('pg_dump', ['-h', host, '-p', String(port), '-U', user, database], { maxBuffer: 1 << 28 })).stdout;
}
async function say(user, room, content) {
  const answer = await send(sidecar.url, user, message(room, content));
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}
// Resolves with the answer when the user's rate allows the message.
const sendWithinRate = (user, body) =>
  until('the rate allows the message', async () => {
    const answer = await send(sidecar.url, user, body);
    return answer.json.code !== 'rate_limited' && answer;
  });
// Sends many messages of a user by one statement.
const sayMany = (user, room, count, content) =>
  stack.query(
    `select from sealcast.admit(array_fill($1::uuid, array[$3::int]), array_fill('chat'::text, array[$3::int]), array_fill($2::uuid, array[$3::int]),
                                array(select gen_random_uuid() from generate_series(1, $3)), array_fill($4::text, array[$3::int]))`,
    [room, user.id, count, JSON.stringify({ content })],
  );
async function inRedis() {
  const keys = (await target.command('keys', 'sealcast:*')).filter((key) => /^sealcast:(stream|events):/.test(key));
  return (await Promise.all(keys.map(async (key) => JSON.stringify(await target.command('xrange', key, '-', '+'))))).join('\n');
}
// Everything that is stored of a user other than their messages.
const thingsOf = async (user) =>
  JSON.stringify(await stack.query(
    `select (select array_agg(r::text order by 1) from sealcast.restrictions r where r.user_id = $1),
            (select array_agg(r::text order by 1) from sealcast.stream_roles r where r.user_id = $1),
            (select array_agg(c::text order by 1) from sealcast.report_cases c where c.sender_id = $1),
            (select array_agg(r::text order by 1) from sealcast.reports r where r.reporter_id = $1),
            (select array_agg(l::text order by 1) from sealcast.moderation_log l where l.user_id = $1),
            (select array_agg(k::text order by 1) from sealcast.txn_keys k where k.sender_id = $1),
            (select array_agg(m::text order by 1) from sealcast.messages m where m.sender_id = $1)`, [user.id]));

test('after an erasure, no path gives what the user wrote, nor a text about them', { timeout: 180_000 }, async () => {
  const rooms = [await stack.stream(), await stack.stream()];
  const [guest, other, moderator, reporter] = Array.from({ length: 4 }, () => stack.user());
  for (const room of rooms) {
    await stack.grant(room, moderator, 'moderator');
    await stack.grant(room, guest, 'vip');
    await stack.grant(room, other, 'vip');
  }
  const early = await Promise.all(rooms.map((room) => Subscriber.to(sidecar.url, room)));
  const envelopes = [];
  for (const room of rooms) {
    for (let i = 0; i < 2; i++) {
      envelopes.push(await say(guest, room, `${CANARY} ${i}`));
      await say(other, room, `kept ${i}`);
    }
  }
  await early[0].received(4);
  await early[1].received(4);
  for (const [user, word] of [[guest, CANARY], [other, 'kept']]) {
    const [{ offset }] = early[0].frames.filter((frame) => frame.envelope.s === user.id);
    assert.equal((await call('report_message', reporter, { stream_id: rooms[0], offset, reason: word })).json, true);
    assert.equal((await call('mute', moderator, { stream_id: rooms[0], user_id: user.id, reason: word, note: word })).status, 204);
  }
  assert.equal((await call('report_message', guest, { stream_id: rooms[0], offset: 4, reason: CANARY })).json, true);
  const things = await thingsOf(other);
  await until('Redis has the messages', async () => (await inRedis()).split(`${CANARY} 1`).length > 4);
  assert((await dump()).includes(CANARY));

  const output = await erase(guest);
  assert.match(output, /^4 messages erased, \d+ per second\n$/m);

  const announced = await Promise.all(early.map(async (reader) => (await reader.received(5))[4].envelope));
  assert.deepEqual(announced.map(({ t, d }) => [t, d.user_id, d.reason]), [['messages_purged', guest.id, null], ['messages_purged', guest.id, null]]);
  const late = await Promise.all(rooms.flatMap((room) => [0, 2].map((lastEventId) => Subscriber.to(sidecar.url, room, { lastEventId }))));
  const resumed = await Promise.all(late.map((reader, i) => reader.received(i % 2 === 0 ? 5 : 3)));
  const paths = {
    'an event stream from the beginning, and resumed': JSON.stringify(resumed.flat()),
    'the history': await get(`/streams/${rooms[0]}/messages?after=0`) + await get(`/streams/${rooms[1]}/messages?after=0`),
    'the queue of reports': await get(`/streams/${rooms[0]}/reports`, moderator),
    'the moderation log': await get(`/streams/${rooms[0]}/moderation_log`, moderator),
    'the restrictions': JSON.stringify(await stack.query('select * from sealcast.restrictions_of($1)', [rooms[0]])),
    'a repeat': (await sendWithinRate(guest, { stream_id: rooms[0], t: 'chat', d: { content: `${CANARY} 0` }, txn_id: envelopes[0].txn_id })).text,
    'the tables': await dump(),
  };
  for (const [path, text] of Object.entries(paths)) assert(!text.includes(CANARY), `${path}: ${text}`);
  assert(paths['the tables'].includes('kept') && paths['the history'].includes('kept 1'));
  await until('the content has left Redis', async () => !(await inRedis()).includes(CANARY));
  assert((await inRedis()).includes('kept 1'));
  assert.equal(await thingsOf(other), things, 'another user keeps everything');
  const { messages } = JSON.parse(await get(`/streams/${rooms[0]}/messages?after=0`));
  for (const { envelope } of messages) {
    const { result } = (await request(`${sidecar.url}/rpc/verify`, { method: 'POST', body: envelope })).json;
    assert.equal(result, envelope.s === guest.id ? 'redacted' : 'ok');
  }
  assert.equal((await sendWithinRate(guest, message(rooms[0], 'again'))).json.code, 'user_muted', 'a restriction stays');
  for (const reader of [...early, ...late]) reader.close();
});

test('an erasure that is killed, or loses its server, goes on; messages that are sent meanwhile are erased', { timeout: 180_000 }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 100_000);
  const roll = dice(seed);
  const rooms = [await stack.stream(), await stack.stream(), await stack.stream()];
  const [guest, other] = [stack.user(), stack.user()];
  const PER_ROOM = 12_000;
  for (const room of rooms) {
    for (let i = 0; i < PER_ROOM; i += 1000) await sayMany(guest, room, 1000, OTHER_CANARY);
    await sayMany(other, room, 1000, 'kept');
  }
  const [{ rows: before }] = await stack.query("select count(*)::int as rows from sealcast.messages where sender_id = $1", [guest.id]);
  assert.equal(before, rooms.length * PER_ROOM);
  const left = async () => (await stack.query('select count(*)::int as n from sealcast.messages where sender_id = $1 and d is not null', [guest.id]))[0].n;

  let interrupted = 0;
  for (let round = 0; round < 20; round++) {
    const { program, parameters } = command(guest);
    const process = spawn(program, parameters, { stdio: 'ignore' });
    const ended = once(process, 'exit');
    const earlier = await left();
    // After a step, or before the first one.
    if (roll(2) === 0) await Promise.race([ended, until('a step', async () => (await left()) < earlier)]);
    const backend = "from pg_stat_activity where application_name = 'sealcastd erase-user'";
    if (roll(2) === 0) process.kill('SIGKILL');
    else {
      await until('the command is connected', async () => process.exitCode !== null || (await stack.query(`select ${backend}`)).length > 0);
      await stack.query(`select pg_terminate_backend(pid) ${backend}`);
    }
    const [code] = await ended;
    if (code === 0) break;
    interrupted++;
    await sayMany(guest, rooms[roll(rooms.length)], 10, `${OTHER_CANARY} late`);
    if (interrupted >= 4) break;
  }
  assert(interrupted > 0, `SEED=${seed}: no erasure was interrupted`);
  await erase(guest);
  assert.equal(await left(), 0);
  const [counts] = await stack.query(
    `select count(*) filter (where m.sender_id = $1)::int as erased, count(*) filter (where m.sender_id = $2 and m.d is not null)::int as kept,
            count(*) filter (where sealcast.verify_detail(sealcast.envelope(m)::json) not in ('ok', 'redacted'))::int as broken
     from sealcast.messages m where m.stream_id = any ($3)`, [guest.id, other.id, rooms]);
  assert.deepEqual(counts, { erased: before + 10 * interrupted, kept: rooms.length * 1000, broken: 0 });
  assert(!(await dump()).includes(OTHER_CANARY));
});

test('a step does not wait for a lock, and what is locked is erased later', async () => {
  const room = await stack.stream();
  const guest = stack.user();
  await sayMany(guest, room, 5, CANARY);
  const blocker = await stack.connect();
  await blocker.query('begin');
  await blocker.query('select from sealcast.streams where stream_id = $1 for update', [room]);
  const running = erase(guest);
  await until('a step has found the messages', async () => (await stack.query('select from sealcast_internal.erasures where user_id = $1 and found = 5', [guest.id])).length > 0);
  const { rows: [step] } = await (await stack.connect()).query('select * from sealcast.erase_user_step($1)', [guest.id]);
  assert.equal(step.postponed, true);
  // A message is admitted meanwhile.
  await say(stack.user(), room, 'kept');
  await blocker.query('rollback');
  assert.match(await running, /^5 messages erased/m);
});

test('the command says what is wrong', async () => {
  const { program, parameters } = command(stack.user());
  await assert.rejects(run(program, ['erase-user', 'nobody']), /USER_ID is "nobody", which is not a UUID/);
  await assert.rejects(run(program, [...parameters.slice(0, 3), stack.serviceDsn]), /permission denied[^]*Run the command again/);
  await assert.rejects(run(program, [...parameters.slice(0, 3), 'host=/nowhere']), /cannot connect to Postgres; check --dsn/);
});

test('the procedure erases too, and takes part in no transaction', async () => {
  const room = await stack.stream();
  const guest = stack.user();
  await sayMany(guest, room, 5, CANARY);
  const client = await stack.connect();
  await client.query('begin');
  await assert.rejects(client.query(`call sealcast.erase_user('${guest.id}')`), { code: '2D000' });
  await client.query('rollback');
  const notices = [];
  client.on('notice', (notice) => notices.push(notice.message));
  await client.query(`call sealcast.erase_user('${guest.id}')`);
  assert(notices.some((text) => /^5 messages erased, \d+ of \d+ done$/.test(text)), notices.join('\n'));
});
