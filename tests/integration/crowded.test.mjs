// More than is pleasant at once: ten thousand readers, readers that do not read, and connections that do not get on.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RawConnection, Subscriber, message, rawRequest, request, send } from './http.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const loadGenerator = join(process.env.SEALCAST_BUILD ?? fileURLToPath(new URL('../../build', import.meta.url)), 'sealcast_load');
// Sanitizers make it many times slower, and take memory of their own.
const sanitized = process.env.SEALCASTD?.includes('asan') ?? false;
const mayOpen = Number(execFileSync('sh', ['-c', 'ulimit -Hn']).toString().replace('unlimited', 'Infinity'));
const READERS = sanitized ? 1000 : 10_000;
const KIB_A_READER = 8; // docs/performance.md

let stack;
before(async () => {
  stack = await PrivateStack.create();
});
after(() => stack.close());

// The most that it ever had.
const memoryOf = ({ process }) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))[1]) * 1024;

test(`${READERS} readers on one sidecar: each gets every message once, in order, unchanged`, { timeout: 180_000 }, async (t) => {
  assert.ok(mayOpen >= READERS + 500, `${READERS} readers need ${READERS + 500} open files; ulimit -Hn allows ${mayOpen}`);
  const sidecar = await stack.sidecar();
  const secret = join(stack.directory, 'session-secret');
  writeFileSync(secret, stack.sessionSecret);
  const options = {
    port: new URL(sidecar.url).port, stream: await stack.stream(), keyring: stack.keyring, 'session-secret': secret, rate: 5, seconds: 5,
    warmup: 0, connections: 2, senders: 100, subscribers: READERS, 'server-pid': sidecar.process.pid,
  };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { code, stdout } = await new Promise((resolve) => {
    execFile(loadGenerator, words, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout: stdout + stderr }));
  });
  assert.equal(code, 0, stdout);
  const { accepted, subscribers, server_kib } = JSON.parse(stdout);
  assert.equal(accepted, 25);
  assert.deepEqual([subscribers.count, subscribers.missing, subscribers.ended], [READERS, 0, 0]);
  const each = (server_kib.end - server_kib.alone) / READERS;
  t.diagnostic(`${each.toFixed(1)} KiB a reader`);
  if (!sanitized) assert.ok(each <= KIB_A_READER, `${each} KiB a reader`);
  await sidecar.stop();
});

test('readers that do not read are cut off, memory is bounded, and they go on where they stood', { timeout: 180_000 }, async (t) => {
  const [lazyReaders, bytes, limit] = [50, 15_000, 96 * 1024 * 1024];
  const sidecar = await stack.sidecar({ SEALCAST_SSE_RING_FRAMES: '64' });
  const room = await stack.stream();
  const quick = await Subscriber.to(sidecar.url, room);
  const lazy = await Promise.all(Array.from({ length: lazyReaders }, async () => {
    const connection = await RawConnection.open(sidecar.url);
    connection.write(rawRequest(`/streams/${room}/events`, { 'content-length': undefined }, '', 'GET'));
    connection.socket.pause();
    return connection;
  }));
  const metric = async (name) => Number((await request(`${sidecar.url}/metrics`)).text.match(new RegExp(`^${name} (\\d+)`, 'm'))[1]);
  await until('all are subscribed', async () => (await metric('sealcast_sse_subscribers')) === lazyReaders + 1);
  const before = memoryOf(sidecar);
  let sent = 0;
  while ((await metric('sealcast_sse_dropped_total')) < lazyReaders) {
    assert.ok(sent < 4000, 'they are not cut off');
    const answers = await Promise.all(Array.from({ length: 16 }, () => send(sidecar.url, stack.user(), message(room, 'x'.repeat(bytes)))));
    assert.ok(answers.every(({ status }) => status === 200));
    sent += answers.length;
    await quick.received(sent);
  }
  const more = memoryOf(sidecar) - before;
  t.diagnostic(`${sent} messages of ${bytes} bytes for ${lazyReaders} readers that do not read: ${Math.round(more / 1024 / 1024)} MiB more`);
  if (!sanitized) assert.ok(more < limit, `${more} bytes more`);

  // What each had got before it was cut off says where it stood.
  for (const connection of lazy.slice(0, 5)) {
    let text = '';
    connection.socket.on('data', (part) => (text += part));
    connection.socket.resume();
    await until('what was sent to it is read', () => connection.ended);
    const whole = text.slice(0, text.lastIndexOf('\n\n') + 2);
    const lastEventId = Number([...whole.matchAll(/^id: ?(\d+)$/gm)].at(-1)[1]);
    assert.ok(lastEventId < sent);
    const back = await Subscriber.to(sidecar.url, room, { lastEventId });
    await back.received(sent - lastEventId, 30_000);
    assert.deepEqual(back.frames.map((f) => f.offset), Array.from({ length: sent - lastEventId }, (_, i) => lastEventId + i + 1));
    back.close();
  }
  for (const connection of lazy) connection.close();
  quick.close();
  await sidecar.stop();
});

test('connections that send a byte now and then hold up nobody, and are ended', { timeout: 60_000 }, async () => {
  const sidecar = await stack.sidecar({ SEALCAST_HTTP_READ_TIMEOUT_MS: '1500', SEALCAST_HTTP_MAX_CONNECTIONS: '300' });
  const room = await stack.stream();
  const user = stack.user();
  const beginnings = {
    'a header': 'GET /healthz HTTP/1.1\r\nx-slow: ',
    'a request line': 'GET /healthz',
    'a body': rawRequest('/rpc/send_message', { ...user.headers, 'content-length': '10000' }),
    'a chunk': rawRequest('/rpc/send_message', { ...user.headers, 'content-length': undefined, 'transfer-encoding': 'chunked' }) + '2000\r\n',
    nothing: '',
  };
  const slow = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    const connection = await RawConnection.open(sidecar.url);
    const kind = Object.keys(beginnings)[i % 5];
    connection.write(beginnings[kind]);
    if (kind !== 'nothing') connection.dripping = setInterval(() => connection.write('x'), 50);
    return connection;
  }));
  let chatted = 0;
  const chat = async () => {
    while (!slow.every(({ ended }) => ended)) {
      const answer = await send(sidecar.url, stack.user(), message(room));
      assert.equal(answer.status, 200, answer.text);
      chatted++;
    }
  };
  try {
    await Promise.all([chat(), chat(), chat()]);
  } finally {
    for (const { dripping } of slow) clearInterval(dripping);
  }
  assert.equal((await stack.stored(room)).length, chatted);
  for (const connection of slow) connection.close();
  await sidecar.stop();
});
