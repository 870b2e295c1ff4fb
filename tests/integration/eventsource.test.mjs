// Event streams as browsers and libraries read them: Chromium, the usual npm packages, and the examples of the docs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../browser/page.mjs';
import { write } from '../client/stream.mjs';
import { libraries } from '../event_sources/libraries.mjs';
import { codeOf, openReaders, runExample } from '../event_sources/page.mjs';
import { recorder } from '../event_sources/recorder.mjs';
import { Subscriber, request } from './http.mjs';
import { PrivateStack, freePort } from './stack.mjs';
import { until, within } from './waiting.mjs';

let stack, browser, settings, sidecar;
const start = async () => (sidecar = await stack.sidecar(settings));
before(async () => {
  stack = await PrivateStack.create();
  browser = await launch();
  settings = { SEALCAST_HTTP_LISTEN: `127.0.0.1:${await freePort()}`, SEALCAST_SSE_RETRY_MS: '100', SEALCAST_SSE_HEARTBEAT_MS: '200' };
  await start();
});
after(async () => {
  await browser?.close();
  await stack?.close();
});

const events = (room) => `/streams/${room}/events`;
const metric = async (name) => Number((await request(`${sidecar.url}/metrics`)).text.match(new RegExp(`^${name} (\\d+)`, 'm'))[1]);
const upTo = (count) => Array.from({ length: count }, (_, i) => i + 1);

test('every library and Chromium resume without a loss when the sidecar stops, also before the first message', async (t) => {
  const room = await stack.stream();
  const own = {};
  for (const [name, open] of Object.entries(libraries)) open((own[name] = recorder()), sidecar.url + events(room));
  const page = await openReaders(browser, sidecar.url, events(room));
  t.after(async () => {
    for (const record of Object.values(own)) record.close();
    await page.close();
  });
  const each = async (what, condition) => {
    let waiting;
    const done = async () => {
      const all = { ...own, ...(await page.records()) };
      waiting = Object.entries(all).filter(([, record]) => !condition(record));
      return waiting.length === 0;
    };
    await until(what, done, 30_000).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(waiting)}`));
  };
  await each('every reader gets `ready`', ({ ready }) => ready === 1);
  await sidecar.stop();
  await write(stack, room, 3);
  await start();
  await each('3 frames that were written meanwhile', ({ frames }) => frames.length === 3);
  await write(stack, room, 2);
  await each('2 more frames', ({ frames }) => frames.length === 5);
  sidecar.process.kill('SIGKILL');
  await sidecar.exited;
  await write(stack, room, 3);
  await start();
  await each('3 more frames', ({ frames }) => frames.length === 8);
  const epoch = await stack.logEpoch();
  const expected = upTo(8).map((offset) => ({ id: `${epoch}:${offset}`, offset }));
  for (const [name, record] of Object.entries({ ...own, ...(await page.records()) })) {
    await t.test(name, () => {
      assert.deepEqual(record.frames, expected);
      assert.deepEqual(record.failures, []);
      // undici gives up at a refused connection.
      if (name !== 'undici') assert.equal(record.made, 1, 'the library itself connected again');
    });
  }
});

// Runs an example until it has read two messages, the second one after an answer 503.
async function readsThrough503(code, room, session = null) {
  const example = await runExample(browser, sidecar.url, code, { url: sidecar.url, streamId: room, session });
  await until('the reader has connected', async () => (await metric('sealcast_sse_subscribers')) === 1);
  await write(stack, room, 1, 'before');
  await until('the first message', async () => (await example.shown()).length === 1);
  await sidecar.stop();
  // In the place of the sidecar, as a proxy answers.
  const proxy = http.createServer((_, response) => response.writeHead(503).end());
  proxy.listen(Number(new URL(sidecar.url).port), '127.0.0.1');
  await within('the reader gets 503', once(proxy, 'request'));
  proxy.close();
  await once(proxy, 'close');
  await write(stack, room, 1, 'after');
  await start();
  await until('the second message', async () => (await example.shown()).length === 2);
  assert.deepEqual(await example.shown(), ['before 1', 'after 1']);
  return example;
}

test('the example of the README goes on after an answer 503', async () => {
  const [code] = codeOf('README.md', 'new EventSource');
  const reader = await readsThrough503(code.replace(/^const \[url, streamId\].*\n/, ''), await stack.stream());
  await reader.close();
});

test('the example of docs/http.md goes on after an answer 503, and when its ticket is no longer valid', async () => {
  const [[reading], [ticket]] = [codeOf('docs/http.md', 'new EventSource'), codeOf('docs/http.md', 'function ticket')];
  const room = await stack.stream({ visibility: 'private' });
  const member = stack.user();
  await stack.grant(room, member, 'member');
  const reader = await readsThrough503(ticket + reading, room, member.token());
  await sidecar.stop();
  const other = join(stack.directory, 'secrets/redis'); // any other secret
  sidecar = await stack.sidecar({ ...settings, SEALCAST_SESSION_TICKET_SECRET_FILE: other });
  await write(stack, room, 1, 'by a new ticket');
  await until('the third message', async () => (await reader.shown()).length === 3);
  await reader.close();
});

// Sends requests for event streams that cannot be answered yet. Resolves when the sidecar has them.
async function askFor(count, room) {
  const before = await metric('sealcast_http_connections');
  const asked = upTo(count).map(() => Subscriber.to(sidecar.url, room));
  await until('the connections are open', async () => (await metric('sealcast_http_connections')) >= before + count);
  await metric('sealcast_http_connections'); // the requests follow the connections, and this one follows them
  return asked;
}

async function leave(readers) {
  for (const reader of readers) {
    await until('`ready`', () => reader.ready);
    reader.close();
  }
  await until('the readers have left', async () => (await metric('sealcast_sse_subscribers')) === 0);
}

test('a reader waits while the sidecar starts, and while Postgres is away', async () => {
  const room = await stack.stream();
  await sidecar.stop();
  await stack.stop('postgres', 'SIGINT');
  sidecar = await stack.launch({ ...settings, SEALCAST_SSE_MAX_SUBSCRIBERS: '3' });
  await until('the sidecar answers', async () => (await request(`${sidecar.url}/healthz`)).status === 200);
  const early = await askFor(1, room);
  await stack.startPostgres();
  await leave(await Promise.all(early));
  await sidecar.ready();

  await stack.stop('postgres', 'SIGINT');
  const waiting = await askFor(3, room);
  const { status, json } = await request(sidecar.url + events(room));
  assert.deepEqual([status, json.code], [503, 'overloaded'], 'a reader that waits counts as a reader');
  await stack.startPostgres();
  await leave(await Promise.all(waiting));
});

test('a reader waits for 10 seconds at most, and not when the sidecar shuts down', async () => {
  const room = await stack.stream();
  await stack.stop('postgres', 'SIGINT');
  const answer = await request(sidecar.url + events(room));
  assert.deepEqual([answer.status, answer.json.code], [503, 'database_unavailable']);
  const waiting = await askFor(1, room);
  const began = Date.now();
  const stopped = sidecar.stop();
  await assert.rejects(waiting[0], /503/);
  await stopped;
  assert(Date.now() - began < 8000, `the wait ended after ${Date.now() - began} ms`);
  await stack.startPostgres();
  await start();
});
