// What readers get from a sampled stream: the public channel, the vip channel, and their own messages.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt, sse } from '../../client/index.js';
import { sharedStack } from '../integration/stack.mjs';
import { Reader } from './reader.mjs';
import { write } from './stream.mjs';

const { MQTT_URL: broker, MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD } = process.env;
const skip = broker ? false : 'MQTT_URL names no broker; run this file by tests/with_stack.sh';

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
const sample = (rate, stream = room) => stack.query('select sealcast.set_sampling($1, $2)', [stream, rate]);
const textOf = ({ envelope: { t, d } }) => (t === 'chat' ? d.content : `${t} ${d.rate}`);
const contents = (reader) => reader.frames.filter(({ retained }) => !retained).map(textOf);

function onMqtt() {
  const url = new URL(broker);
  [url.username, url.password] = [MQTT_VIEWER_USER, MQTT_VIEWER_PASSWORD];
  return { transports: [mqtt({ client: () => mqttjs.connect(url.href, { reconnectPeriod: 0 }) })] };
}

test('in a storm the public channel carries a sample, vip carries all, and senders see their own messages', { skip }, async () => {
  const own = clientOf(viewer);
  const readers = {
    own: new Reader(own, room),
    other: new Reader(clientOf(stack.user()), room),
    vip: new Reader(clientOf(moderator), room, { channel: 'vip' }),
    mqtt: new Reader(clientOf(stack.user(), onMqtt()), room),
  };
  for (const reader of Object.values(readers)) await reader.ready();
  const moderators = clientOf(moderator);
  const send = (client, content) => client.sendMessage(room, 'chat', { content });

  await send(own, 'calm');
  await sample(0);
  await readers.own.until('sampling has begun', () => contents(readers.own).includes('sampling_update 0'));
  await send(own, 'mine');
  await write(stack, room, 20, 'crowd');
  await send(moderators, 'moderated');
  await sample(null);
  await readers.own.until('sampling has ended', () => contents(readers.own).includes('sampling_update 100'));
  await send(own, 'calm again');

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
  readers.vip.assertOffsets(1, 26);
  const ownMessage = readers.own.frames[2];
  assert.deepEqual([ownMessage.offset, ownMessage.prev, ownMessage.envelope.s], [null, null, viewer.id]);

  // A later reader and the history get the same frames.
  for (const [channel, like] of [['public', 'other'], ['vip', 'vip']]) {
    const late = new Reader(channel === 'vip' ? moderators : clientOf(stack.user()), room, { channel, from: 0 });
    await late.reached(26);
    assert.deepEqual(late.frames, readers[like].frames);
    assert.deepEqual((await own.messages(room, { channel, after: 0, limit: 100 })).messages, readers[like].frames);
    await late.close();
  }
  for (const reader of Object.values(readers)) await reader.close();
});

test('late joiners know at once that the stream is sampled, over SSE and over MQTT, and see their own messages', { skip }, async () => {
  const crowded = await stack.stream();
  await sample(0, crowded);
  await write(stack, crowded, 5, 'crowd');
  for (const more of [{}, onMqtt()]) {
    const own = clientOf(stack.user(), more);
    const late = new Reader(own, crowded);
    await late.ready();
    await own.sendMessage(crowded, 'chat', { content: 'mine' });
    await late.until('the own message', () => contents(late).includes('mine'));
    assert.deepEqual(late.frames.map(textOf), ['sampling_update 0', 'mine']);
    assert.deepEqual(late.frames.map(({ offset, retained }) => [offset === null, retained]), [[false, true], [true, undefined]]);
    await late.close();
  }
});

test('an own message is shown once, although sampling changes before its answer comes', { skip }, async () => {
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

  const carried = own.sendMessage(room, 'chat', { content: 'public' });
  await reader.until('the frame', () => contents(reader).includes('public'));
  await sample(0);
  await reader.until('sampling has begun', () => contents(reader).includes('sampling_update 0'));
  answers.splice(0).forEach((answer) => answer());
  await carried;
  const leftOut = own.sendMessage(room, 'chat', { content: 'left out' });
  await arrives('left out');
  await sample(null);
  await reader.until('sampling has ended', () => contents(reader).includes('sampling_update 100'));
  answers.splice(0).forEach((answer) => answer());
  await leftOut;
  await reader.until('the own message', () => contents(reader).includes('left out'));
  assert.deepEqual(contents(reader), ['public', 'sampling_update 0', 'sampling_update 100', 'left out']);
  await Promise.all([reader.close(), witness.close()]);
});

test('the vip channel needs a role in the stream, and a driver that has a name for it', { skip }, async () => {
  const stranger = new Reader(clientOf(viewer), room, { channel: 'vip' });
  await assert.rejects(stranger.ready(), { code: 'role_required' });
  const elsewhere = new Reader(clientOf(moderator, onMqtt()), room, { channel: 'vip' });
  await elsewhere.until('the error is reported', () => elsewhere.errors.length > 0);
  assert.equal(elsewhere.errors[0].code, 'transport_refused');
  await elsewhere.close();
  assert.throws(() => clientOf(viewer).subscribeStreamEvents(room, () => {}, { channel: 'all' }), TypeError);
});
