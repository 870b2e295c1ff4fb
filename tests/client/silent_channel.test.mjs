// A reader that joined another channel than the sidecar publishes to gets the error channel_silent. A reader of a
// quiet, a sampled or a moved stream does not.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { ably, createClient, mqtt, sse, supabase } from '../../client/index.js';
import { SilentChannel } from '../../client/silent_channel.js';
import { sharedStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { Reader } from './reader.mjs';
import { AblyService, SupabaseService, withoutSupabaseSdk } from './services.mjs';
import { write, writeAsSystem } from './stream.mjs';

const { MQTT_URL: broker } = process.env;

let stack;
const services = {};
before(async () => {
  stack = await sharedStack();
  services.ably = await AblyService.start();
  services.supabase = await SupabaseService.start();
});
after(async () => {
  for (const service of Object.values(services)) service.close();
  await stack.close();
});

const supabaseSdk = () => services.supabase.sdk();
const ablySdk = () => services.ably.sdk();
const mqttSdk = () => mqttjs.connect(broker, { reconnectPeriod: 0 });

// Publishes a stream's frames as the sidecar does by default; the sidecar of the stack itself publishes to the broker.
async function publisher(name, room) {
  const carry = services[name] ? (frame) => services[name].publish(`sealcast:${room}`, frame) : undefined;
  const reader = new Reader(createClient({ url: stack.url }), room, { from: 0 }, carry);
  await reader.ready();
  return reader;
}

// A reader that checks the history soon.
async function readerOf(driver, room, options = {}, clientOptions = {}) {
  const client = createClient({ url: stack.url, transports: [driver, sse()], ...clientOptions });
  const reader = new Reader(client, room, { quietMs: 50, ...options });
  await reader.ready();
  return reader;
}

const silent = (reader) => reader.errors.filter(({ code }) => code === 'channel_silent');

for (const [what, name, driver, skip] of [
  ['Supabase, the public topic instead of the private one', 'supabase', () => supabase({ client: supabaseSdk, private: false }), withoutSupabaseSdk],
  ['Supabase, another event', 'supabase', () => supabase({ client: supabaseSdk, event: 'msg' }), withoutSupabaseSdk],
  ['Ably, another channel', 'ably', () => ably({ client: ablySdk, channel: 'chat:{stream_id}' })],
  ['MQTT, another topic', 'mqtt', () => mqtt({ client: mqttSdk, topic: 'sealcast/other/{stream_id}' }), !broker],
]) {
  test(`${what}: the reader gets each message from the history, and is told once that the channel is silent`, { skip }, async () => {
    const room = await stack.stream();
    const bridge = await publisher(name, room);
    const reader = await readerOf(driver(), room);
    let sent = 0;
    for (; sent < 6; sent++) {
      await write(stack, room, 1);
      await reader.reached(sent + 1);
    }
    const [error, ...more] = silent(reader);
    assert.match(error.message, new RegExp(`^the ${name} channel brings no messages, but the history has new ones`));
    assert.match(error.hint, new RegExp(`setting ${name}\\.`));
    assert.deepEqual(more, []);
    reader.assertOffsets(1, sent);
    await reader.close();
    await bridge.close();
  });
}

test('a reader of the right channel gets no error, also when its stream is quiet for many checks', { skip: withoutSupabaseSdk }, async () => {
  const room = await stack.stream();
  const bridge = await publisher('supabase', room);
  let checks = 0;
  const countingFetch = (url, options) => {
    if (String(url).includes('/messages')) checks++;
    return fetch(url, options);
  };
  const reader = await readerOf(supabase({ client: supabaseSdk }), room, {}, { fetch: countingFetch });
  for (let sent = 0; sent < 4; sent++) {
    await write(stack, room, 1);
    await bridge.reached(sent + 1);
    await reader.reached(sent + 1);
    const before = checks;
    await until('two checks of the quiet stream', () => checks >= before + 2);
  }
  assert.deepEqual(reader.errors, []);
  await reader.close();
  await bridge.close();
});

test('a stream that has moved to a transport that the reader cannot use is not called silent', { skip: withoutSupabaseSdk }, async () => {
  const room = await stack.stream();
  await write(stack, room, 1);
  const reader = await readerOf(supabase({ client: supabaseSdk }), room, { from: 0 });
  await writeAsSystem(stack, room, 'transport_migrate', { target: 'mqtt' });
  for (let sent = 2; sent < 8; sent++) {
    await write(stack, room, 1);
    await reader.reached(sent + 1);
  }
  assert.deepEqual(reader.errors.map(({ code }) => code), ['transport_unknown']);
  await reader.close();
});

const page = (last, ...offsets) => ({ messages: offsets.map((offset) => ({ offset })), last });

// Reads one page at each of these checks.
function check(channel, ...pages) {
  return pages.map((found) => {
    channel.check();
    return channel.read(found);
  });
}

function joined(last) {
  const channel = new SilentChannel();
  channel.joined();
  channel.read(page(last));
  return channel;
}

test('two checks that find new messages show a silent channel, once', () => {
  assert.deepEqual(check(joined(3), page(4, 4), page(4), page(5, 5), page(6, 6)), [false, false, true, false]);
});

test('a frame of the channel, and a new connection, begin anew', () => {
  const channel = joined(3);
  assert.deepEqual(check(channel, page(4, 4)), [false]);
  channel.brought({ offset: 5 });
  assert.deepEqual(check(channel, page(6, 6)), [false]);
  channel.joined();
  assert.deepEqual(check(channel, page(9, 7, 8, 9), page(10, 10), page(11, 11)), [false, false, true]);
});

test('messages that the public channel leaves out, that the channel brought, or that are older than the connection do not count', () => {
  assert.deepEqual(check(joined(3), page(9), page(20)), [false, false], 'left out: the history of the channel lacks them too');
  assert.deepEqual(check(joined(900), page(900, 1, 2), page(900, 3, 4), page(900, 5)), [false, false, false], 'older');
  const channel = joined(3);
  channel.brought({ offset: 9 });
  assert.deepEqual(check(channel, page(9, 4, 5), page(9, 6, 7, 8)), [false, false], 'a slow handler reads them again');
});

test('several pages of one check, and pages that are read for another reason, count once', () => {
  const channel = joined(3);
  channel.check();
  assert.deepEqual([page(8, 4, 5), page(8, 6, 7), page(8, 8)].map((found) => channel.read(found)), [false, false, false]);
  assert.equal(channel.read(page(9, 9)), false);
});
