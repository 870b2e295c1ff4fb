// Behind nginx, HAProxy, Caddy and Varnish, each with the configuration of docs/examples/proxies, and behind the compression
// of an express server.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { launch } from '../browser/page.mjs';
import { write } from '../client/stream.mjs';
import { compress } from '../event_sources/compression.mjs';
import { libraries } from '../event_sources/libraries.mjs';
import { openReaders } from '../event_sources/page.mjs';
import { recorder } from '../event_sources/recorder.mjs';
import { RawConnection, Subscriber, message, rawRequest, request, send } from './http.mjs';
import { Proxy, names } from './proxies.mjs';
import { PrivateStack, freePort } from './stack.mjs';
import { until } from './waiting.mjs';

const proxies = {};
let stack, browser, settings, sidecar;
const start = async () => (sidecar = await stack.sidecar(settings));
before(async () => {
  stack = await PrivateStack.create();
  browser = await launch();
  const address = `127.0.0.1:${await freePort()}`;
  settings = { SEALCAST_HTTP_LISTEN: address, SEALCAST_SSE_RETRY_MS: '100' };
  await start();
  await Promise.all(names.map(async (name) => (proxies[name] = await Proxy.start(stack, name, address))));
});
after(async () => {
  await browser?.close();
  await Promise.all(Object.values(proxies).map((proxy) => proxy.stop())).finally(() => stack?.close());
});

const upTo = (count) => Array.from({ length: count }, (_, i) => i + 1);
const subscribers = async () => Number((await request(`${sidecar.url}/metrics`)).text.match(/^sealcast_sse_subscribers (\d+)/m)[1]);

async function leave(reader) {
  assert.equal(await subscribers(), 1);
  reader.close();
  await until('the sidecar has no reader', async () => (await subscribers()) === 0);
}

for (const name of names) {
  test(`${name}: each frame arrives before the next is sent, and a reader that has gone is noticed`, async () => {
    const { url } = proxies[name];
    const room = await stack.stream();
    const reader = await Subscriber.to(url, room);
    await until('`ready`', () => reader.ready);
    for (const count of upTo(5)) {
      const answer = await send(url, stack.user(), message(room, `message ${count}`));
      assert.equal(answer.status, 200, answer.text);
      await reader.received(count);
    }
    assert.deepEqual(reader.frames.map(({ offset }) => offset), upTo(5));
    await leave(reader);
  });

  test(`${name}: a history page of 1 MB arrives whole`, async () => {
    const room = await stack.stream();
    const content = 'x'.repeat(16_000);
    const sent = await Promise.all(upTo(70).map(() => send(proxies[name].url, stack.user(), message(room, content))));
    assert.deepEqual(sent.filter(({ status }) => status !== 200), []);
    const page = (origin) => request(`${origin}/streams/${room}/messages?after=0&limit=500`);
    await until('every message has its offset', async () => (await page(sidecar.url)).json.last === 70);
    const whole = await page(sidecar.url);
    assert.ok(whole.text.length > 1_000_000);
    assert.equal((await page(proxies[name].url)).text, whole.text);
  });

  test(`${name}: a ticket reads a private stream and is not logged, and the internal routes are closed`, async () => {
    const { url } = proxies[name];
    const room = await stack.stream({ visibility: 'private' });
    const member = stack.user();
    await stack.grant(room, member, 'member');
    const { access_token: ticket } = (await request(`${url}/streams/${room}/token`, { method: 'POST', headers: member.headers })).json;
    const reader = await Subscriber.to(url, room, { query: `?access_token=${ticket}` });
    await until('`ready`', () => reader.ready);
    await leave(reader);
    assert.equal((await request(`${url}/streams/${room}/messages?access_token=${ticket}`)).status, 200);
    if (name !== 'Varnish') await until('the requests are logged', () => proxies[name].log().includes(`/streams/${room}/messages`));
    assert.ok(!proxies[name].log().includes(ticket));
    for (const path of ['/metrics', '/readyz', '/healthz', '/metrics?x']) assert.equal((await request(url + path)).status, 403, path);
    // The connection of a refused event stream is no way round this.
    const connection = await RawConnection.open(url);
    connection.write(rawRequest(`/streams/${randomUUID()}/events`, {}, '', 'GET'));
    assert.equal((await connection.answer()).status, 404);
    connection.write(rawRequest('/metrics', {}, '', 'GET'));
    const answer = await connection.answer();
    assert(answer === null || answer.status === 403);
    connection.close();
  });
}

test('every library behind every proxy resumes without a loss when the sidecar stops', async (t) => {
  const room = await stack.stream();
  const path = `/streams/${room}/events`;
  const own = {};
  const pages = {};
  for (const name of names) {
    for (const [library, open] of Object.entries(libraries)) {
      const record = (own[`${name}, ${library}`] = recorder());
      open(record, proxies[name].url + path);
    }
    pages[name] = await openReaders(browser, proxies[name].url, path);
  }
  t.after(async () => {
    for (const record of Object.values(own)) record.close();
    for (const page of Object.values(pages)) await page.close();
  });
  const records = async () => {
    const all = { ...own };
    for (const name of names) {
      for (const [library, record] of Object.entries(await pages[name].records())) all[`${name}, ${library}`] = record;
    }
    return Object.entries(all);
  };
  const each = async (what, condition) => {
    let waiting;
    const done = async () => (waiting = (await records()).filter(([, record]) => !condition(record))).length === 0;
    await until(what, done, 30_000).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(waiting)}`));
  };
  await each('every reader gets `ready`', ({ ready }) => ready > 0);
  await write(stack, room, 2);
  await each('2 frames', ({ frames }) => frames.length === 2);
  await sidecar.stop();
  await write(stack, room, 3);
  await start();
  await each('3 frames that were written meanwhile', ({ frames }) => frames.length === 5);
  const epoch = await stack.logEpoch();
  const expected = upTo(5).map((offset) => ({ id: `${epoch}:${offset}`, offset }));
  for (const [name, { frames, failures }] of await records()) {
    await t.test(name, () => assert.deepEqual({ frames, failures }, { frames: expected, failures: [] }));
  }
});

test('behind the compression of express each frame arrives before the next is sent', async (t) => {
  const middleware = compress();
  const server = http.createServer((incoming, outgoing) =>
    middleware(incoming, outgoing, () => {
      const options = { method: incoming.method, headers: incoming.headers };
      const upstream = http.request(sidecar.url + incoming.url, options, (answer) => {
        outgoing.writeHead(answer.statusCode, answer.headers);
        answer.pipe(outgoing);
      });
      outgoing.on('close', () => upstream.destroy());
      upstream.on('error', () => outgoing.destroy());
      incoming.pipe(upstream);
    }),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}`;
  const headers = { 'accept-encoding': 'gzip' };
  const room = await stack.stream();
  const reader = await Subscriber.to(url, room, { headers });
  for (const count of upTo(3)) {
    await write(stack, room, 1);
    await reader.received(count);
  }
  reader.close();
  const history = await request(`${url}/streams/${room}/messages`, { headers });
  assert.equal(history.headers['content-encoding'], 'gzip', 'the middleware compresses other answers');
});
