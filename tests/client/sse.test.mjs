// Reads over Server-Sent Events, through a proxy that cuts connections, and from sidecars that stop and start.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient, sse } from '../../client/index.js';
import { freePort, PrivateStack } from '../integration/stack.mjs';
import { until, within } from '../integration/waiting.mjs';
import { Proxy } from './proxy.mjs';
import { random } from './random.mjs';
import { fetchIgnoringSignal, QUICK, Reader } from './reader.mjs';
import { write, writeAsSystem } from './stream.mjs';

let stack, listen, sidecar, proxy;
before(async () => {
  stack = await PrivateStack.create();
  listen = `127.0.0.1:${await freePort()}`;
  await start();
  proxy = await Proxy.to(`http://${listen}`);
});
after(async () => {
  await proxy?.close();
  await stack.close();
});

async function start() {
  sidecar = await stack.sidecar({ SEALCAST_HTTP_LISTEN: listen });
}

const clientOf = (more = {}) => createClient({ url: proxy.url, ...more });

const subscribers = async () => {
  const metrics = await (await fetch(`${sidecar.url}/metrics`)).text();
  return Number(/^sealcast_sse_subscribers (\d+)$/m.exec(metrics)[1]);
};

test('a reader begins with the next message, or after a given offset', async () => {
  const room = await stack.stream();
  await write(stack, room, 3);
  const whole = new Reader(clientOf(), room, { from: 0 });
  await whole.reached(3);
  const next = new Reader(clientOf(), room);
  await next.ready();
  assert.equal(next.subscription.offset, 3);
  const resumed = new Reader(clientOf(), room, { from: 2 });
  await write(stack, room, 2);
  for (const [reader, first] of [[whole, 1], [next, 4], [resumed, 3]]) {
    await reader.reached(5);
    reader.assertOffsets(first, 5);
    assert.equal(reader.subscription.offset, 5);
    assert.equal(reader.subscription.transport, 'sse');
    await reader.close();
    assert.deepEqual(reader.statuses, ['live', 'closed']);
    assert.deepEqual(reader.errors, []);
  }
  const [frame] = whole.frames;
  assert.deepEqual(Object.keys(frame), ['offset', 'prev', 'envelope']);
  assert.equal(frame.envelope.d.content, 'n 1');
});

test('a reader gets each frame once and in order when connections are cut at any byte', async () => {
  const room = await stack.stream();
  const dice = random(7);
  const reader = new Reader(clientOf(), room);
  await reader.ready();
  for (let sent = 0; sent < 400; sent += 20) {
    const before = proxy.spent;
    proxy.cutAfter(1 + dice.below(3000));
    await write(stack, room, 20);
    await until('the connection is cut', () => proxy.spent > before);
  }
  await reader.reached(400);
  reader.assertOffsets(1, 400);
  assert.ok(reader.statuses.includes('reconnecting'));
  await reader.close();
});

test('a reader gets each frame once while its sidecar is killed, started, stopped and started', async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room);
  await reader.ready();
  await write(stack, room, 5);
  await reader.reached(5);
  sidecar.process.kill('SIGKILL');
  await sidecar.exited;
  await write(stack, room, 5);
  await reader.until('the reader is reconnecting', () => reader.statuses.includes('reconnecting'));
  await start();
  await write(stack, room, 5);
  await reader.reached(15);
  await sidecar.stop();
  await write(stack, room, 5);
  await start();
  await reader.reached(20);
  reader.assertOffsets(1, 20);
  assert.equal(reader.statuses.at(-1), 'live');
  await reader.close();
});

test('a connection that brings no byte for silenceMs is given up', async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf({ transports: [sse({ silenceMs: 200 })] }), room);
  await reader.ready();
  proxy.freeze();
  await reader.until('silence is noticed', () => reader.errors.some(({ code }) => code === 'silence'));
  proxy.freeze(false);
  proxy.cut();
  await write(stack, room, 1);
  await reader.reached(1);
  reader.assertOffsets(1, 1);
  await reader.close();
});

test('a slow handler gets one frame at a time and misses none', async () => {
  const room = await stack.stream();
  let running = 0;
  const handler = async () => {
    assert.equal(++running, 1);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
  };
  const reader = new Reader(clientOf(), room, { from: 0, maxHeld: 50, pageSize: 20 }, handler);
  await write(stack, room, 1000);
  await reader.reached(1000);
  reader.assertOffsets(1, 1000);
  await reader.close();
});

test('a failing handler is reported, and gets the next frame', async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room, { from: 0 }, ({ offset }) => {
    if (offset === 2) throw new Error('no more');
  });
  await write(stack, room, 3);
  await reader.reached(3);
  assert.deepEqual(reader.offsets, [1, 3]);
  assert.deepEqual(reader.errors.map(({ code, cause }) => [code, cause.message]), [['handler_failed', 'no more']]);
  await reader.close();
});

test('frames that retention deleted are reported, and the others are read', async () => {
  const room = await stack.stream();
  await write(stack, room, 3);
  const early = new Reader(clientOf(), room, { from: 0 });
  await early.reached(3);
  await write(stack, room, 6);
  await early.reached(9);
  await early.close();
  // The state after maintain() has dropped a day.
  await stack.query('delete from sealcast.stream_runs where stream_id = $1 and "offset" < 4', [room]);
  await stack.query('update sealcast.streams set trimmed_through = 3 where stream_id = $1', [room]);
  const late = new Reader(clientOf(), room, { from: 1 });
  await late.reached(9);
  late.assertOffsets(4, 9);
  assert.deepEqual(late.notes.filter(([name]) => name === 'dropped'), [['dropped', { from: 2, to: 3 }]]);
  await late.close();
});

test('a stream that ends before the reader\'s offset is reported as rewound, and read from there', async () => {
  const room = await stack.stream();
  await write(stack, room, 2);
  const early = new Reader(clientOf(), room, { from: 0 });
  await early.reached(2);
  await early.close();
  const reader = new Reader(clientOf(), room, { from: 50 });
  await reader.until('the rewind is reported', () => reader.notes.some(([name]) => name === 'rewound'));
  await write(stack, room, 1);
  await reader.reached(3);
  assert.deepEqual(reader.notes.filter(([name]) => name === 'rewound'), [['rewound', { offset: 2 }]]);
  reader.assertOffsets(3, 3);
  await reader.close();
});

test('a member reads a private stream with a session or with a ticket in the URL', async () => {
  const room = await stack.stream({ visibility: 'private' });
  const [member, stranger] = [stack.user(), stack.user()];
  await stack.grant(room, member, 'subscriber');
  await write(stack, room, 2);
  const token = member.token();
  for (const transports of [[sse()], [sse({ ticket: true })]]) {
    const reader = new Reader(clientOf({ token, transports }), room, { from: 0 });
    await reader.reached(2);
    proxy.cut();
    await write(stack, room, 1);
    await reader.until('a frame after the cut', () => reader.frames.length > 2);
    reader.assertOffsets(1, reader.frames.length);
    await reader.close();
  }
  for (const [options, status] of [[{}, 401], [{ token: stranger.token() }, 403]]) {
    const reader = new Reader(clientOf(options), room);
    await assert.rejects(reader.subscription.ready, { status });
    assert.equal(reader.subscription.status, 'failed');
    assert.deepEqual(reader.errors.map((error) => error.status), [status]);
  }
});

test('a stream that does not exist ends the subscription', async () => {
  const reader = new Reader(clientOf(), randomUUID());
  await assert.rejects(reader.subscription.ready, { status: 404, code: 'stream_not_found' });
  assert.deepEqual(reader.statuses, ['failed']);
});

test('after close(), also within the handler, there are no more calls and no connection', async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room, { from: 0 }, ({ offset }) => {
    if (offset === 2) reader.close();
  });
  await write(stack, room, 5);
  await reader.reached(2);
  await reader.close();
  await until('the sidecar has no reader', async () => (await subscribers()) === 0);
  assert.deepEqual(reader.offsets, [1, 2]);
  await assert.rejects(reader.subscription.migrate('sse'), { code: 'closed' });
  const early = new Reader(clientOf(), room);
  await early.close();
  await assert.rejects(early.subscription.ready, { code: 'closed' });
});

test('with a fetch that ignores its signal, close() and silence end the event stream too', async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf({ fetch: fetchIgnoringSignal, transports: [sse({ silenceMs: 200 })] }), room);
  await reader.ready();
  proxy.freeze();
  await reader.until('silence is noticed', () => reader.errors.some(({ code }) => code === 'silence'));
  proxy.freeze(false);
  await write(stack, room, 1);
  await reader.reached(1);
  await within('the reader is closed', reader.close());
  await until('the sidecar has no reader', async () => (await subscribers()) === 0);
});

test('with a fetch that ignores its signal, an answer after close() is cancelled', async () => {
  let deliver;
  const late = async (...request) => {
    const answer = await fetchIgnoringSignal(...request);
    await new Promise((resolve) => (deliver = resolve));
    return answer;
  };
  const reader = new Reader(clientOf({ fetch: late }), await stack.stream());
  await until('the reader is connected', async () => deliver && (await subscribers()) === 1);
  await within('the reader is closed', reader.close());
  assert.equal(await subscribers(), 1);
  deliver();
  await until('the sidecar has no reader', async () => (await subscribers()) === 0);
});

test('verify: true reports and leaves out a message that the server did not seal', async () => {
  const room = await stack.stream();
  const changing = async (...request) => {
    const response = await fetch(...request);
    if (!String(request[0]).includes('/events')) return response;
    const changed = new TransformStream({
      transform: (bytes, out) => out.enqueue(Buffer.from(Buffer.from(bytes).toString().replace('n 2', 'm 2'))),
    });
    return new Response(response.body.pipeThrough(changed), response);
  };
  const reader = new Reader(clientOf({ fetch: changing }), room, { verify: true });
  await reader.ready();
  await write(stack, room, 3);
  await reader.reached(3);
  assert.deepEqual(reader.offsets, [1, 3]);
  assert.deepEqual(reader.errors.map(({ code, frame }) => [code, frame.offset]), [['unverified', 2]]);
  await reader.close();
});

test('after a transport_migrate to an unknown transport the reader keeps its own and reports the error', async () => {
  const room = await stack.stream();
  const reader = new Reader(clientOf(), room);
  await reader.ready();
  await writeAsSystem(stack, room, 'transport_migrate', { target: 'pigeon' });
  await write(stack, room, 2);
  await reader.reached(3);
  await reader.until('the error is reported', () => reader.errors.length > 0);
  reader.assertOffsets(1, 3);
  assert.equal(reader.frames[0].envelope.t, 'transport_migrate');
  assert.deepEqual(reader.errors.map(({ code }) => code), ['transport_unknown']);
  assert.equal(reader.subscription.transport, 'sse');
  const begin = () => clientOf().subscribeStreamEvents(room, () => {}, { transport: 'pigeon' });
  assert.throws(begin, { code: 'transport_unknown' });
  await reader.close();
});
