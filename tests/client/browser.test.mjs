// The unbuilt module in a real browser, on a page of another origin than the sidecar: cut connections and transport
// migration. MQTT.js is its own browser build.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createClient } from '../../client/index.js';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { Proxy } from './proxy.mjs';
import { Reader } from './reader.mjs';
import { launch, serve } from './site.mjs';
import { write, writeAsSystem } from './stream.mjs';

const { MQTT_URL, MQTT_WS_URL, MQTT_VIEWER_USER: username, MQTT_VIEWER_PASSWORD: password } = process.env;
const skip = MQTT_WS_URL ? false : 'MQTT_WS_URL names no broker; run this file by tests/with_stack.sh';

let stack, sidecar, httpProxy, mqttProxy, site, browser;
before(async () => {
  if (skip) return;
  site = await serve();
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar({ SEALCAST_HTTP_CORS_ORIGINS: site.origin, ...publishesAt(MQTT_URL) });
  [httpProxy, mqttProxy] = [await Proxy.to(sidecar.url), await Proxy.to(MQTT_WS_URL)];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await httpProxy?.close();
  await mqttProxy?.close();
  site?.server.close();
  await stack?.close();
});

// Settings that make a sidecar of the private stack publish to the shared stack's broker.
function publishesAt(broker) {
  const { host, username: user, password } = new URL(broker);
  const file = join(stack.directory, 'broker-password');
  writeFileSync(file, password, { mode: 0o644 });
  return { SEALCAST_MQTT_URL: `mqtt://${user}@${host}`, SEALCAST_MQTT_PASSWORD_FILE: file };
}

async function openPage() {
  const page = await (await browser.newContext()).newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  await page.goto(site.origin);
  return page;
}

// Runs in the page: reads the stream and records offsets and callbacks in globalThis.
function begin({ url, regions, broker, login, room, token, ticket }) {
  return (async () => {
    const { createClient, mqtt, sse } = await import('/client/index.js');
    const { default: mqttjs } = await import('/mqtt.js');
    const client = createClient({
      url,
      regions,
      token,
      retry: { baseMs: 20, capMs: 100, spreadMs: 10 },
      transports: [sse({ ticket }), mqtt({ client: () => mqttjs.connect(broker, { ...login, reconnectPeriod: 0 }) })],
    });
    Object.assign(globalThis, { client, offsets: [], statuses: [], transports: [], errors: [] });
    globalThis.subscription = client.subscribeStreamEvents(room, ({ offset }) => offsets.push(offset), {
      reconnect: { baseMs: 20, capMs: 100, spreadMs: 10 },
      onStatus: (status) => statuses.push(status),
      onTransport: (transport) => transports.push(transport),
      onError: (error) => errors.push(`${error.code}: ${error.message}`),
    });
    await globalThis.subscription.ready;
  })();
}

// The page has got each offset up to `last`, once and in order.
async function assertOffsetsUpTo(page, last) {
  await page.waitForFunction((offset) => globalThis.offsets.at(-1) >= offset, last);
  assert.deepEqual(await page.evaluate('offsets'), Array.from({ length: last }, (_, i) => i + 1));
  assert.deepEqual(page.problems, []);
}

test('a page of another origin sends to and reads a private stream, with a session or with a ticket', { skip }, async () => {
  for (const ticket of [false, true]) {
    const [room, user] = [await stack.stream({ visibility: 'private' }), stack.user()];
    await stack.grant(room, user, 'subscriber');
    const page = await openPage();
    await page.evaluate(begin, { url: httpProxy.url, broker: mqttProxy.url, login: { username, password }, room, token: user.token(), ticket });
    const envelope = await page.evaluate((id) => client.sendMessage(id, 'chat', { content: 'from a browser 😀' }), room);
    assert.equal(envelope.s, user.id);
    await page.evaluate((id) => client.sendMessage(id, 'chat', { content: 'again' }), room);
    await assertOffsetsUpTo(page, 2);
    const refused = await page.evaluate((id) => client.sendMessage(id, 'no.such', {}).catch(({ code }) => code), room);
    assert.equal(refused, 'unknown_type');
    await page.context().close();
  }
});

test('after the loss of a region the page reads and sends in the next one', { skip }, async () => {
  const [room, user] = [await stack.stream(), stack.user()];
  const next = await Proxy.to(sidecar.url);
  const page = await openPage();
  await page.evaluate(begin, { url: httpProxy.url, regions: [next.url], room, token: user.token() });
  await page.evaluate((id) => client.sendMessage(id, 'chat', { content: 'here' }), room);
  await assertOffsetsUpTo(page, 1);
  httpProxy.refuse();
  await page.evaluate((id) => client.sendMessage(id, 'chat', { content: 'there' }), room);
  await write(stack, room, 3);
  await assertOffsetsUpTo(page, 5);
  assert.equal(await page.evaluate('client.region'), next.url);
  await page.context().close();
  await next.close();
  httpProxy.refuse(false);
});

test('a page gets each frame once and in order over cut connections and a migration to MQTT and back', { skip }, async () => {
  const room = await stack.stream();
  const witness = new Reader(createClient({ url: sidecar.url }), room, { from: 0 });
  const page = await openPage();
  await page.evaluate(begin, { url: httpProxy.url, broker: mqttProxy.url, login: { username, password }, room });
  let sent = 0;
  const writeSome = async () => {
    await write(stack, room, 10);
    sent += 10;
    await witness.reached(sent);
  };
  const flowAndCut = async (proxy) => {
    for (let cuts = 0; cuts < 10; cuts++) {
      const before = proxy.spent;
      proxy.cutAfter(100 + cuts * 200);
      await until('the connection is cut', async () => {
        await writeSome();
        return proxy.spent > before;
      });
    }
  };
  await flowAndCut(httpProxy);
  await assertOffsetsUpTo(page, sent);

  await writeAsSystem(stack, room, 'transport_migrate', { target: 'mqtt', overlap_ms: 500 });
  sent++;
  await until('the page is on MQTT', async () => {
    await writeSome();
    return page.evaluate(() => transports.includes('mqtt'));
  });
  await flowAndCut(mqttProxy);
  await page.evaluate(() => subscription.migrate('sse', { overlapMs: 100 }));
  await write(stack, room, 1);
  await assertOffsetsUpTo(page, ++sent);
  assert.deepEqual(await page.evaluate('transports'), ['mqtt', 'sse']);
  await page.evaluate(() => subscription.close());
  await page.context().close();
  await witness.close();
});
