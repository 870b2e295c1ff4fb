// Tests the ably and supabase drivers with the real SDKs, against local services that speak the protocols of Ably and
// Supabase. The frames and the history come from a real sidecar.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ably, createClient, sse, supabase } from '../../client/index.js';
import { sharedStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { closeAtEnd } from './close_at_end.mjs';
import { random } from './random.mjs';
import { Reader } from './reader.mjs';
import { AblyService, SupabaseService, withoutSupabaseSdk } from './services.mjs';
import { write, writeAsSystem } from './stream.mjs';

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

const sdks = {
  ably: {
    make: () => services.ably.sdk({ disconnectedRetryTimeout: 50 }),
    end: (sdk) => sdk.close(),
    driver: ably,
    channel: (room) => `sealcast:${room}`,
  },
  supabase: {
    make: () => services.supabase.sdk(),
    end: (sdk) => sdk.realtime.disconnect(),
    driver: supabase,
    channel: (room) => `realtime:sealcast:${room}`,
  },
};

if (withoutSupabaseSdk) delete sdks.supabase;

for (const [name, { make, end, driver, channel }] of Object.entries(sdks)) {
  const clientOf = (client) => createClient({ url: stack.url, transports: [sse(), driver({ client })] });
  const publisher = (room, isLost = () => false) =>
    new Reader(createClient({ url: stack.url }), room, { from: 0 }, (frame) => {
      if (!isLost(frame)) services[name].publish(`sealcast:${room}`, frame);
    });

  test(`${name}: a reader gets each frame once over cut connections, with its own or the caller's SDK client`, async () => {
    const callersClient = make();
    closeAtEnd(() => end(callersClient));
    for (const sdk of [make, callersClient]) {
      const room = await stack.stream();
      const dice = random(5);
      const bridge = publisher(room, () => dice.chance(0.2));
      const reader = new Reader(clientOf(sdk), room, { transport: name, quietMs: 100 });
      await reader.ready();
      const before = services[name].joins;
      for (let sent = 0; sent < 200; sent += 20) {
        await write(stack, room, 20);
        await bridge.reached(sent + 20);
        if (sent % 60 === 0) services[name].cut();
      }
      await reader.reached(200);
      reader.assertOffsets(1, 200);
      await until('the reader is connected again', () => services[name].joins > before && reader.subscription.status === 'live');
      await reader.close();
      await until('the channel has no readers', () => services[name].readers(channel(room)) === 0);
      await bridge.close();
    }
    await end(callersClient);
    await until('no connection is left', () => services[name].sockets.size === 0);
  });

  test(`${name}: a reader that migrates to it and back gets each frame once and in order`, async () => {
    const room = await stack.stream();
    const bridge = publisher(room);
    const reader = new Reader(clientOf(make), room);
    await reader.ready();
    let sent = 0;
    for (const to of [name, 'sse']) {
      await writeAsSystem(stack, room, 'transport_migrate', { target: to, overlap_ms: 200 });
      sent++;
      await until(`the reader is on ${to}`, async () => {
        await write(stack, room, 5);
        sent += 5;
        return reader.subscription.transport === to;
      });
    }
    await reader.reached(sent);
    reader.assertOffsets(1, sent);
    assert.deepEqual(reader.errors, []);
    await reader.close();
    await bridge.close();
  });

  test(`${name}: two readers share one channel of one client`, async () => {
    const room = await stack.stream();
    const bridge = publisher(room);
    const sdk = make();
    closeAtEnd(() => end(sdk));
    const readers = [];
    for (let i = 0; i < 2; i++) {
      readers.push(new Reader(clientOf(sdk), room, { transport: name }));
      await readers[i].ready(); // for the second reader the channel is joined already
    }
    await write(stack, room, 2);
    await readers[0].reached(2);
    await readers[0].close();
    await write(stack, room, 2);
    await readers[1].reached(4);
    readers[1].assertOffsets(1, 4);
    await readers[1].close();
    await bridge.close();
  });
}

test('ably: a reader gets from the history what Ably has dropped because of the rate of its connection', async () => {
  const room = await stack.stream();
  const client = (options) => createClient({ url: stack.url, ...options });
  const isLost = ({ offset }) => offset > 2;
  const bridge = new Reader(client(), room, { from: 0 }, (frame) => isLost(frame) || services.ably.publish(`sealcast:${room}`, frame));
  const reader = new Reader(client({ transports: [ably({ client: sdks.ably.make })] }), room, { quietMs: 0 });
  await reader.ready();
  await write(stack, room, 5);
  await bridge.reached(5);
  await reader.reached(2);
  services.ably.loseContinuity(`sealcast:${room}`);
  await reader.reached(5);
  reader.assertOffsets(1, 5);
  await reader.close();
  await bridge.close();
});

test('supabase: the driver reads the private channel, or with private: false the public one', { skip: withoutSupabaseSdk }, async () => {
  for (const [options, isPrivate] of [[{}, true], [{ private: false }, false]]) {
    const room = await stack.stream();
    const driver = supabase({ client: sdks.supabase.make, ...options });
    const reader = new Reader(createClient({ url: stack.url, transports: [driver] }), room);
    await reader.ready();
    const wanted = `realtime:sealcast:${room}`;
    assert.deepEqual([services.supabase.readers(wanted), services.supabase.readers(`${wanted} (public)`)], isPrivate ? [1, 0] : [0, 1]);
    await reader.close();
  }
});

test('supabase: a channel that Realtime shuts down is joined again, and the error says why', { skip: withoutSupabaseSdk }, async () => {
  const room = await stack.stream();
  const reader = new Reader(createClient({ url: stack.url, transports: [supabase({ client: sdks.supabase.make })] }), room);
  await reader.ready();
  const { joins } = services.supabase;
  services.supabase.shutDown(`sealcast:${room}`, 'Too many messages per second');
  await reader.until('the error', () => reader.errors.length > 0);
  assert.match(reader.errors[0].message, /is lost: Too many messages per second$/);
  await until('the channel is joined again', () => services.supabase.joins > joins && reader.subscription.status === 'live');
  await reader.close();
});

test('supabase: a refused channel is reported and requested again', { skip: withoutSupabaseSdk }, async () => {
  const room = await stack.stream();
  services.supabase.refuse = true;
  const driver = supabase({ client: sdks.supabase.make });
  const client = createClient({ url: stack.url, transports: [driver] });
  const reader = new Reader(client, room);
  await reader.until('the refusal', () => reader.errors.length > 0);
  assert.match(reader.errors[0].message, /Unauthorized/);
  assert.equal(reader.subscription.status, 'connecting');
  services.supabase.refuse = false;
  await reader.ready();
  await reader.close();
});
