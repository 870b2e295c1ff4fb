// What readers get of a stream that is sampled: the public channel, the vip channel, and one's own messages.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { sharedStack } from '../integration/stack.mjs';
import { Reader } from './reader.mjs';
import { write } from './stream.mjs';

const { MQTT_URL: broker, MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD } = process.env;
const skip = broker ? false : 'MQTT_URL names no broker: run me by tests/with_stack.sh';

let stack, room, viewer, moderator;
before(async () => {
  if (skip) return;
  stack = await sharedStack();
  room = await stack.stream();
  viewer = stack.user();
  moderator = stack.user();
  await stack.grant(room, moderator, 'moderator');
});
after(() => stack?.close());

const clientOf = (user, more = {}) => createClient({ url: stack.url, token: user.token(), ...more });
const sample = (rate) => stack.query('select sealcast.set_sampling($1, $2)', [room, rate]);
const contents = (reader) => reader.frames.map(({ envelope: { t, d } }) => (t === 'chat' ? d.content : `${t} ${d.rate}`));

function onMqtt() {
  const url = new URL(broker);
  [url.username, url.password] = [MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD];
  return { transports: [mqtt({ client: () => mqttjs.connect(url.href, { reconnectPeriod: 0 }) })] };
}

test('a storm from its beginning to its end', { skip }, async () => {
  const own = clientOf(viewer);
  const readers = {
    own: new Reader(own, room),
    other: new Reader(clientOf(stack.user()), room),
    vip: new Reader(clientOf(moderator), room, { channel: 'vip' }),
    mqtt: new Reader(clientOf(stack.user(), onMqtt()), room),
  };
  for (const reader of Object.values(readers)) await reader.ready();
  const moderators = clientOf(moderator);
  const say = (client, content) => client.sendMessage(room, 'chat', { content });

  await say(own, 'calm');
  await sample(0);
  await readers.own.until('the badge', () => contents(readers.own).includes('sampling_update 0'));
  await say(own, 'mine');
  await write(stack, room, 20, 'crowd');
  await say(moderators, 'moderated');
  await sample(null);
  await readers.own.until('the end', () => contents(readers.own).includes('sampling_update 100'));
  await say(own, 'calm again');

  const shown = ['calm', 'sampling_update 0', 'moderated', 'sampling_update 100', 'calm again'];
  const lists = {
    own: [...shown.slice(0, 2), 'mine', ...shown.slice(2)],
    other: shown,
    vip: [...shown.slice(0, 2), 'mine', ...Array.from({ length: 20 }, (_, i) => `crowd ${i + 1}`), ...shown.slice(2)],
    mqtt: shown,
  };
  for (const [name, reader] of Object.entries(readers)) {
    await reader.until(`the last message (${name})`, () => contents(reader).at(-1) === 'calm again');
    assert.deepEqual(contents(reader), lists[name], name);
    assert.deepEqual(reader.errors, [], name);
  }
  readers.vip.isWhole(1, 26);
  const echo = readers.own.frames[2];
  assert.deepEqual([echo.offset, echo.prev, echo.envelope.s], [null, null, viewer.id]);

  // Who comes later, and who asks, is told the same.
  for (const [channel, asWho] of [['public', 'other'], ['vip', 'vip']]) {
    const late = new Reader(channel === 'vip' ? moderators : clientOf(stack.user()), room, { channel, from: 0 });
    await late.reached(26);
    assert.deepEqual(late.frames, readers[asWho].frames);
    assert.deepEqual((await own.messages(room, { channel, after: 0, limit: 100 })).messages, readers[asWho].frames);
    await late.close();
  }
  for (const reader of Object.values(readers)) await reader.close();
});

test('what a storm brings while the answer is under way is shown once', { skip }, async () => {
  const answers = [];
  const slow = async (url, request) => {
    const response = await fetch(url, request);
    if (String(url).endsWith('/rpc/send_message')) await new Promise((resolve) => answers.push(resolve));
    return response;
  };
  const own = clientOf(viewer, { fetch: slow });
  const reader = new Reader(own, room);
  const witness = new Reader(clientOf(moderator), room, { channel: 'vip' });
  await Promise.all([reader.ready(), witness.ready()]);
  const arrives = (content) => witness.until(content, () => contents(witness).includes(content));

  const public_ = own.sendMessage(room, 'chat', { content: 'public' });
  await reader.until('its frame', () => contents(reader).includes('public'));
  await sample(0);
  await reader.until('the badge', () => contents(reader).includes('sampling_update 0'));
  const left_out = own.sendMessage(room, 'chat', { content: 'left out' });
  await arrives('left out');
  await sample(null);
  await reader.until('the end', () => contents(reader).includes('sampling_update 100'));
  answers.splice(0).forEach((answer) => answer());
  await Promise.all([public_, left_out]);
  await reader.until('the echo', () => contents(reader).includes('left out'));
  assert.deepEqual(contents(reader), ['public', 'sampling_update 0', 'sampling_update 100', 'left out']);
  await Promise.all([reader.close(), witness.close()]);
});

test('the vip channel is for users with a role, and where a driver knows of one', { skip }, async () => {
  const stranger = new Reader(clientOf(viewer), room, { channel: 'vip' });
  await assert.rejects(stranger.ready(), { code: 'role_required' });
  const elsewhere = new Reader(clientOf(moderator, onMqtt()), room, { channel: 'vip' });
  await elsewhere.until('it says so', () => elsewhere.errors.length > 0);
  assert.equal(elsewhere.errors[0].code, 'transport_refused');
  await elsewhere.close();
  assert.throws(() => clientOf(viewer).subscribeStreamEvents(room, () => {}, { channel: 'all' }), TypeError);
});
