// A restored database begins a new epoch of the log. No reader mistakes an offset of the old log for one of the new log.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqttjs from 'mqtt';
import { createClient, mqtt } from '../../client/index.js';
import { Reader } from '../client/reader.mjs';
import { write } from '../client/stream.mjs';
import { Broker } from './broker.mjs';
import { Subscriber, request } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

let stack;
let broker;
let url;
before(async () => {
  stack = await PrivateStack.create();
  broker = await Broker.start(stack);
  ({ url } = await stack.sidecar({
    SEALCAST_MQTT_URL: broker.url,
    SEALCAST_REDIS_STREAMS_URL: stack.gateUrl,
    SEALCAST_REDIS_STREAMS_PASSWORD_FILE: join(stack.directory, 'secrets/redis'),
  }));
});
after(() => stack?.close());

const history = async (room, query = '') => (await request(`${url}/streams/${room}/messages?${query}`)).json;
const contents = (frames) => frames.map(({ envelope }) => envelope.d.content);
const many = (label, from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${label} ${i + from}`);
const relayed = (room, last) => until(`offset ${last}`, async () => (await history(room, 'limit=1')).last === last);

// Five messages are in the dump, five more are lost with the restore, and seven new ones follow.
async function restoredUnder(room, prepare = async () => {}) {
  await write(stack, room, 5, 'kept');
  await relayed(room, 5);
  const file = await stack.dump();
  await write(stack, room, 5, 'lost');
  await relayed(room, 10);
  const epoch = await stack.logEpoch();
  await prepare();
  await stack.restore(file);
  await until('the sidecar reads the restored database', async () => (await request(`${url}/readyz`)).status === 200);
  await write(stack, room, 7, 'new');
  await until('offset 12', async () => (await history(room, 'limit=1')).last === 12);
  return epoch;
}
const everything = [...many('kept', 1, 5), ...many('new', 1, 7)];

test('a resume point of the old log gets a reset, and then everything that is kept', async () => {
  const room = await stack.stream();
  const old = await restoredUnder(room);
  const now = await stack.logEpoch();
  assert.notEqual(now, old);

  const foreign = await Subscriber.to(url, room, { lastEventId: `${old}:10` });
  await foreign.received(12);
  assert.deepEqual(foreign.resets, [{ reset: true, offset: 0 }]);
  assert.deepEqual(contents(foreign.frames), everything);
  assert.equal(foreign.lastEventId, `${now}:12`);
  foreign.close();

  for (const lastEventId of [`${now}:10`, '10']) {
    const resumed = await Subscriber.to(url, room, { lastEventId });
    await resumed.received(2);
    assert.deepEqual([resumed.resets, contents(resumed.frames)], [[], many('new', 6, 7)]);
    resumed.close();
  }

  const page = await history(room, `after=${old}:10&limit=5`);
  assert.deepEqual([page.reset, page.epoch, page.first, page.last], [true, now, 1, 12]);
  assert.deepEqual(contents(page.messages), many('kept', 1, 5));
  const gap = await history(room, `after=${old}:10&before=${old}:12&limit=5`);
  assert.deepEqual([gap.reset, contents(gap.messages)], [true, many('kept', 1, 5)]);
  const backwards = await history(room, `before=${old}:3&limit=2`);
  assert.deepEqual([backwards.reset, contents(backwards.messages)], [true, many('new', 6, 7)]);
  const own = await history(room, `after=${now}:10&before=${now}:12`);
  assert.deepEqual([own.reset, own.epoch, contents(own.messages)], [undefined, now, ['new 6']]);
});

test('readers on MQTT rewind to the new log, although its frames have the offsets of the old one', async () => {
  const room = await stack.stream();
  const overMqtt = mqtt({ client: () => mqttjs.connect(broker.url, { reconnectPeriod: 0 }) });
  let reader;
  await restoredUnder(room, async () => {
    reader = new Reader(createClient({ url, transports: [overMqtt] }), room, { from: 0 });
    await reader.reached(10);
  });
  // The newest frames of the new log follow on those of the old one, so the reader may get them before it rewinds.
  await reader.until('the reader has the new log', () => contents(reader.frames).slice(-12).join() === everything.join());
  assert.deepEqual(contents(reader.frames).slice(0, 10), [...many('kept', 1, 5), ...many('lost', 1, 5)]);
  assert.deepEqual(reader.notes.filter(([name]) => name === 'rewound'), [['rewound', { offset: 0 }]]);
  assert.equal(reader.subscription.resumePoint, `${await stack.logEpoch()}:12`);
  await reader.close();
});

test('readers of a sidecar that lives through the restore get a reset, and nothing of the old ring', async () => {
  const room = await stack.stream();
  let live;
  const client = createClient({ url });
  let reader;
  await restoredUnder(room, async () => {
    live = await Subscriber.to(url, room, { lastEventId: 0 });
    await live.received(10);
    reader = new Reader(client, room, { from: 0 });
    await reader.reached(10);
  });
  await until('the event stream of the old log ends', () => !live.open);
  assert.deepEqual(contents(live.frames), [...many('kept', 1, 5), ...many('lost', 1, 5)]);

  await reader.until('the reader has the new log', () => reader.frames.at(-1)?.envelope.d.content === 'new 7');
  assert.deepEqual(contents(reader.frames).slice(-12), everything);
  assert.deepEqual(reader.notes.filter(([name]) => name === 'rewound'), [['rewound', { offset: 0 }]]);
  assert.equal(reader.subscription.resumePoint, `${await stack.logEpoch()}:12`);
  await reader.close();
});

test('a client that continues from a kept resume point misses nothing', async () => {
  const room = await stack.stream();
  const old = await restoredUnder(room);
  const reader = new Reader(createClient({ url }), room, { from: `${old}:10` });
  await reader.until('the reader has the new log', () => reader.frames.at(-1)?.envelope.d.content === 'new 7');
  assert.deepEqual(contents(reader.frames), everything);
  await reader.close();
});

test('an outside transport delivers the new log, although the old log had the same offsets', async () => {
  const room = await stack.stream();
  const entries = async () => (await stack.redis('XRANGE', `sealcast:stream:${room}`, '-', '+')).match(/"content":"[a-z]+ \d"/g) ?? [];
  await restoredUnder(room, () => until('the old log is delivered', async () => (await entries()).length === 10));
  const fresh = many('new', 1, 7).map((content) => `"content":"${content}"`);
  await until('the new log is delivered', async () => (await entries()).slice(10).join() === fresh.join());
});

test('a text that is no resume point is refused by the history', async () => {
  const room = await stack.stream();
  for (const bad of ['abc', ':1', 'ABC:1', 'a:b', 'a:-1', `${'a'.repeat(17)}:1`, 'a:1:2', '1:']) {
    for (const query of [`after=${bad}`, `before=${bad}`]) {
      assert.equal((await request(`${url}/streams/${room}/messages?${query}`)).status, 400, query);
    }
  }
});
