// Readers over Ably whose tokens are revoked: the real ably-js and a real sidecar, against a local service that revokes as Ably does.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ably, createClient, sse } from '../../client/index.js';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { Reader } from './reader.mjs';
import { AblyService } from './services.mjs';
import { write, writeAsSystem } from './stream.mjs';

const KEY = 'the.key:secret';

let stack, service, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  service = await AblyService.start();
  service.requireTokens(KEY, { revocable: true });
  const { url, certificates } = await service.serveTls(stack.directory);
  const keyFile = join(stack.directory, 'ably-key');
  writeFileSync(keyFile, KEY, { mode: 0o644 });
  sidecar = await stack.sidecar({ SEALCAST_ABLY_URL: url, SEALCAST_ABLY_KEY_FILE: keyFile, SEALCAST_ABLY_CA_FILE: certificates });
  const delivers = "select from sealcast.deliveries where transport = 'ably'";
  await until('the sidecar delivers to Ably', async () => (await stack.query(delivers)).length > 0);
});
after(async () => {
  service?.close();
  await stack?.close();
});

const overAbly = () =>
  ably({
    tokens: true,
    client: ({ authCallback }) => service.sdk({ token: undefined, authCallback, disconnectedRetryTimeout: 50 }),
  });

// A reader of a user; `exchanges` has the statuses of the answers to its token requests.
function readerOf(user, room, { transports = [overAbly()], ...options } = { transport: 'ably' }) {
  const exchanges = [];
  const watched = async (target, init) => {
    const answer = await fetch(target, init);
    if (target.endsWith('/token') && init.body) exchanges.push(answer.status);
    return answer;
  };
  const client = createClient({ url: sidecar.url, token: user?.token(), fetch: watched, transports });
  return Object.assign(new Reader(client, room, options), { exchanges });
}

const ban = (user, room) =>
  stack.query("insert into sealcast.restrictions (user_id, stream_id, kind) values ($1, $2, 'ban')", [user.id, room]);
const codes = (reader) => reader.errors.map(({ code }) => code);
const clientIds = (room) => [...(service.subscribed.get(`sealcast:${room}`) ?? [])].map(({ token }) => token.clientId);

async function privateRoom(members) {
  const room = await stack.stream({ visibility: 'private' });
  const users = Array.from({ length: members }, () => stack.user());
  for (const user of users) await stack.grant(room, user, 'member');
  return { room, users };
}

test('a banned reader is cut off and gets the reason, and the others read on', async () => {
  const { room, users } = await privateRoom(2);
  const [banned, member] = users.map((user) => readerOf(user, room));
  for (const reader of [banned, member]) await reader.ready();
  await write(stack, room, 2);
  for (const reader of [banned, member]) await reader.reached(2);
  assert.deepEqual(clientIds(room).sort(), users.map(({ id }) => id).sort());
  await ban(users[0], room);
  await banned.until('it has failed', () => banned.subscription.status === 'failed');
  assert.deepEqual(banned.exchanges, [200, 403]);
  const { code, status, message } = banned.errors.at(-1);
  assert.deepEqual([code, status], ['transport_refused', 403]);
  assert.match(message, /banned/);
  await until('its connection is closed', () => service.readers(`sealcast:${room}`) === 1);
  await write(stack, room, 2);
  await member.reached(4);
  assert.deepEqual([member.exchanges, codes(member)], [[200], []]);
  banned.assertOffsets(1, 2);
  for (const reader of [banned, member]) await reader.close();
});

test('a banned reader who was moved to Ably returns to the event streams, which refuse it too', async () => {
  const { room, users } = await privateRoom(1);
  const reader = readerOf(users[0], room, { transports: [sse(), overAbly()] });
  await reader.ready();
  await writeAsSystem(stack, room, 'transport_migrate', {
    type: 'migrate', target: 'ably', channel_id: `sealcast:${room}`, token: 'required', overlap_ms: 200,
  });
  await reader.until('it reads Ably alone', () => reader.subscription.transport === 'ably');
  await ban(users[0], room);
  await reader.until('it has failed', () => reader.subscription.status === 'failed');
  assert.ok(codes(reader).includes('transport_refused'));
  assert.equal(reader.errors.at(-1).code, 'user_banned');
  await until('its connection is closed', () => service.readers(`sealcast:${room}`) === 0);
  await reader.close();
});

test('a reader whose token is revoked, but who may still read, gets a new token and misses nothing', async () => {
  const { room, users: [user] } = await privateRoom(1);
  const other = await privateRoom(0);
  await stack.grant(other.room, user, 'member');
  const reader = readerOf(user, room);
  await reader.ready();
  await write(stack, room, 2);
  await reader.reached(2);
  await ban(user, other.room);
  await until('it has another token, and is live', () => reader.exchanges.length === 2 && reader.subscription.status === 'live');
  await write(stack, room, 2);
  await reader.reached(4);
  reader.assertOffsets(1, 4);
  assert.deepEqual(reader.exchanges, [200, 200]);
  await reader.close();
});

test('a reader without a session has no clientId', async () => {
  const room = await stack.stream();
  const reader = readerOf(null, room);
  await reader.ready();
  assert.deepEqual(clientIds(room), [undefined]);
  await write(stack, room, 1);
  await reader.reached(1);
  await reader.close();
});
