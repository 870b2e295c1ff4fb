// onNotice: what the client does with notices to its user, against a sidecar.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createClient, sse } from '../../client/index.js';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { Reader } from './reader.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
});
after(() => stack?.close());

const clientOf = (user, options = {}) => createClient({ url: sidecar.url, token: user?.token(), ...options });

async function room() {
  const [streamId, moderator, user] = [await stack.stream(), stack.user(), stack.user()];
  await stack.grant(streamId, moderator, 'moderator');
  return { streamId, user, ofModerator: clientOf(moderator), ofUser: clientOf(user) };
}

// A subscription whose notices are recorded.
async function follow(client, streamId, options = {}) {
  const notices = [];
  const reader = new Reader(client, streamId, { verify: true, onNotice: (notice) => notices.push(notice), ...options });
  await reader.subscription.ready;
  return { reader, notices };
}
const kinds = (notices) => notices.map(({ kind, ended }) => (ended ? `${kind}, by its time` : kind));
const noticed = (notices, ...expected) => until(`the notices ${expected}`, () => kinds(notices).join() === expected.join());

// A driver that brings these envelopes as notices.
const bringing = (...envelopes) => ({
  name: 'bringing',
  resumes: true,
  async connect(streamId, context) {
    context.onConnected({ offset: 0 });
    envelopes.forEach((envelope) => context.onNotice(envelope));
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  },
});

test('a mute that ends by its time, one that is replaced, and one that is lifted', async () => {
  const { streamId, user, ofModerator, ofUser } = await room();
  const { reader, notices } = await follow(ofUser, streamId);
  const [bystander, anonymous] = [await follow(clientOf(stack.user()), streamId), await follow(clientOf(null), streamId)];
  const end = Date.now() + 3000;
  await ofModerator.mute(streamId, user.id, { until: end, reason: 'calm down', note: 'secret' });
  await noticed(notices, 'muted', 'unmuted, by its time');
  const { envelope, ...muted } = notices[0];
  assert.deepEqual(muted, { kind: 'muted', streamId, userId: user.id, until: end, reason: 'calm down', role: null, ended: false });
  assert.equal(await ofUser.verify(envelope), 'ok');
  assert.deepEqual([notices[1].until, notices[1].reason, notices[1].envelope], [null, null, envelope]);
  await ofUser.sendMessage(streamId, 'chat', { content: 'again' });

  notices.length = 0;
  const replaced = Date.now() + 3000;
  await ofModerator.mute(streamId, user.id, { until: replaced });
  await noticed(notices, 'muted');
  await ofModerator.mute(streamId, user.id, { until: replaced + 1000 });
  await noticed(notices, 'muted', 'muted', 'unmuted, by its time');
  assert.ok(Date.now() >= replaced + 1000, 'the mute that was replaced does not end it');
  notices.length = 0;
  await ofModerator.mute(streamId, user.id);
  await noticed(notices, 'muted');
  await ofModerator.unmute(streamId, user.id);
  await noticed(notices, 'muted', 'unmuted');
  await until('the message is there', () => reader.frames.length === 1);
  assert.deepEqual([reader.subscription.offset, reader.errors], [1, []]);
  assert.deepEqual([bystander.notices, anonymous.notices], [[], []]);
  for (const each of [reader, bystander.reader, anonymous.reader]) await each.close();
});

test('a subscription begins with the restrictions in force, over a ticket too', async () => {
  const { streamId, user, ofModerator } = await room();
  await stack.query("insert into sealcast.restrictions (user_id, kind) values ($1, 'ban')", [user.id]);
  await ofModerator.mute(streamId, user.id);
  const { reader, notices } = await follow(clientOf(user, { transports: [sse({ ticket: true })] }), streamId);
  // A change at this moment may come twice: as the state, and as news.
  await until('both restrictions', () => [...new Set(kinds(notices))].join() === 'banned,muted');
  assert.deepEqual(notices.slice(0, 2).map((notice) => notice.streamId), [null, streamId]);
  await reader.close();
});

test('a notice that is forged, or of another stream, is left out', async () => {
  const { streamId, user } = await room();
  const seal = async (...items) => (await stack.query('select envelope from sealcast_internal.seal_notices($1, $2, $3) order by item', items))[0].envelope;
  const genuine = JSON.parse(await seal(['mute'], [streamId], [user.id]));
  const elsewhere = JSON.parse(await seal(['mute'], [await stack.stream()], [user.id]));
  const forged = { ...genuine, d: { ...genuine.d, kind: 'banned' } };
  const message = { ...genuine, t: 'chat' };
  const { d: _, ...empty } = genuine;
  const client = clientOf(user, { transports: [bringing(forged, elsewhere, message, null, empty, genuine)] });
  const { reader, notices } = await follow(client, streamId);
  await noticed(notices, 'unmuted');
  assert.equal(notices[0].streamId, streamId);
  assert.deepEqual(reader.errors.map(({ code }) => code), ['unverified']);
  await reader.close();
});

test('a handler that closes the subscription gets no more notices', async () => {
  const { streamId, user } = await room();
  await stack.query("insert into sealcast.restrictions (user_id, stream_id, kind, until) values ($1, $2, 'mute', now() + interval '1 s')", [user.id, streamId]);
  const notices = [];
  const reader = new Reader(clientOf(user), streamId, {
    onNotice: (notice) => {
      notices.push(notice);
      reader.subscription.close();
    },
  });
  await until('the mute', () => notices.length > 0);
  const { until: end } = notices[0];
  await until('the mute has ended', () => Date.now() > end + 500);
  assert.deepEqual(kinds(notices), ['muted']);
});
