// Overload: ten thousand readers, readers that do not read, and connections that send very slowly.
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
// Sanitizers make the sidecar many times slower, and need memory themselves.
const sanitized = process.env.SEALCASTD?.includes('asan') ?? false;
const openFileLimit = Number(execFileSync('sh', ['-c', 'ulimit -Hn']).toString().replace('unlimited', 'Infinity'));
const READERS = sanitized ? 1000 : 10_000;
const KIB_PER_READER = 8; // docs/performance.md

let stack;
before(async () => {
  stack = await PrivateStack.create();
});
after(() => stack.close());

// The peak memory of the process, in bytes.
const peakMemoryOf = ({ process }) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))[1]) * 1024;

test(`${READERS} readers on one sidecar each get every message once, in order and unchanged`, { timeout: 180_000 }, async (t) => {
  const files = READERS + 500;
  assert.ok(openFileLimit >= files, `${READERS} readers need ${files} open files; ulimit -Hn allows ${openFileLimit}`);
  const sidecar = await stack.sidecar();
  const secret = join(stack.directory, 'session-secret');
  writeFileSync(secret, stack.sessionSecret);
  const options = {
    port: new URL(sidecar.url).port, stream: await stack.stream(), keyring: stack.keyring, 'session-secret': secret, rate: 5, seconds: 5,
    warmup: 0, connections: 2, senders: 100, subscribers: READERS, 'server-pid': sidecar.process.pid,
  };
  const parameters = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { code, stdout } = await new Promise((resolve) => {
    execFile(loadGenerator, parameters, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout: stdout + stderr }));
  });
  assert.equal(code, 0, stdout);
  const { accepted, subscribers, server_kib } = JSON.parse(stdout);
  assert.equal(accepted, 25);
  assert.deepEqual([subscribers.count, subscribers.missing, subscribers.ended], [READERS, 0, 0]);
  const each = (server_kib.end - server_kib.alone) / READERS;
  t.diagnostic(`${each.toFixed(1)} KiB per reader`);
  if (!sanitized) assert.ok(each <= KIB_PER_READER, `${each} KiB per reader`);
  await sidecar.stop();
});

test('readers that do not read are cut off, memory stays bounded, and they resume without a gap', { timeout: 180_000 }, async (t) => {
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
  const before = peakMemoryOf(sidecar);
  let sent = 0;
  while ((await metric('sealcast_sse_dropped_total')) < lazyReaders) {
    assert.ok(sent < 4000, 'the readers are not cut off');
    const answers = await Promise.all(Array.from({ length: 16 }, () => send(sidecar.url, stack.user(), message(room, 'x'.repeat(bytes)))));
    assert.ok(answers.every(({ status }) => status === 200));
    sent += answers.length;
    await quick.received(sent);
  }
  const more = peakMemoryOf(sidecar) - before;
  t.diagnostic(`${sent} messages of ${bytes} bytes for ${lazyReaders} readers that do not read: ${Math.round(more / 1024 / 1024)} MiB more`);
  if (!sanitized) assert.ok(more < limit, `${more} bytes more`);

  // Each resumes after the last event that it got before it was cut off.
  for (const connection of lazy.slice(0, 5)) {
    let text = '';
    connection.socket.on('data', (part) => (text += part));
    connection.socket.resume();
    await until('the connection is read to its end', () => connection.ended);
    const whole = text.slice(0, text.lastIndexOf('\n\n') + 2);
    const lastEventId = Number([...whole.matchAll(/^id: ?[0-9a-z]+:(\d+)$/gm)].at(-1)[1]);
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

test('connections that send single bytes are closed, and do not delay other requests', { timeout: 60_000 }, async () => {
  const sidecar = await stack.sidecar({ SEALCAST_HTTP_READ_TIMEOUT_MS: '1500', SEALCAST_HTTP_KEEP_ALIVE_S: '1', SEALCAST_HTTP_MAX_CONNECTIONS: '300' });
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
  let accepted = 0;
  const chat = async () => {
    while (!slow.every(({ ended }) => ended)) {
      const answer = await send(sidecar.url, stack.user(), message(room));
      assert.equal(answer.status, 200, answer.text);
      accepted++;
    }
  };
  try {
    await Promise.all([chat(), chat(), chat()]);
  } finally {
    for (const { dripping } of slow) clearInterval(dripping);
  }
  assert.equal((await stack.stored(room)).length, accepted);
  for (const connection of slow) connection.close();
  await sidecar.stop();
});
