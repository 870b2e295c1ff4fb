// A compromised Redis can refuse or pass every message. It cannot cause a message to be stored twice or lost, and it cannot crash
// the sidecar.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { message, send } from './http.mjs';
import { LyingRedis, PASS, SEEN } from './lying_redis.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const MIB = 1024 * 1024;
const HUGE = 512 * MIB; // the longest bulk string of a real Redis

let stack, sidecar, redis, room;
before(async () => {
  stack = await PrivateStack.create();
  redis = await LyingRedis.start();
  sidecar = await stack.sidecar({ SEALCAST_GATE_REDIS_URL: redis.url });
  room = await stack.stream();
});
after(async () => {
  await sidecar.stop();
  redis.close();
  await stack.close();
});

const answering = (bytes) => (socket) => socket.write(bytes);
const sendMessage = (body, user = stack.user()) => send(sidecar.url, user, body);
const storedUnder = async ({ txn_id }) => (await stack.stored(room)).filter((one) => one === txn_id).length;

async function untilAccepted() {
  redis.answer = answering(PASS);
  await until('messages are accepted again', async () => (await sendMessage(message(room))).status === 200);
}

test('false answers about new and repeated messages change no verdict', async () => {
  for (const [first, second] of [[SEEN, SEEN], [PASS, PASS], [SEEN, PASS]]) {
    const [user, body] = [stack.user(), message(room)];
    redis.answer = answering(first);
    const original = await sendMessage(body, user);
    redis.answer = answering(second);
    const repeat = await sendMessage(body, user);
    assert.deepEqual([original.status, original.headers['idempotency-replayed']], [200, undefined]);
    assert.deepEqual([repeat.status, repeat.headers['idempotency-replayed']], [200, 'true']);
    assert.equal(repeat.text, original.text);
    checkEnvelope(original.text, stack.keyring);
    assert.equal(await storedUnder(body), 1);
  }
});

const nested = `${'*1\r\n'.repeat(6)}:8\r\n`;
for (const [what, bytes] of Object.entries({
  'a negative number': ':-1\r\n',
  'an unknown outcome': ':7\r\n',
  'a number over 63 bits': ':9223372036854775808\r\n',
  'no number': ':four\r\n',
  'a text': '$1\r\n8\r\n',
  'a status': '+8\r\n',
  'an error': '-ERR 8\r\n',
  'null': '$-1\r\n',
  'an array': '*1\r\n:8\r\n',
  'arrays in arrays': nested,
  'arrays deeper than the parser allows': `${'*1\r\n'.repeat(100_000)}:8\r\n`,
  'an array of 4294967295 elements': '*4294967295\r\n',
  'an array of 2147483647 elements': '*2147483647\r\n',
  'a text of negative length': '$-2\r\n',
  'a type of RESP3': '%1\r\n:8\r\n:8\r\n',
  'an endless redirection to itself': () => `-MOVED 1 127.0.0.1:${redis.port}\r\n`,
  'a redirection to nowhere': '-MOVED 99999 :0\r\n',
  'NOSCRIPT each time': '-NOSCRIPT\r\n',
  'no RESP': 'HTTP/1.1 200 OK\r\n\r\n',
})) {
  test(`the answer "${what}" gives 503, and no message is inserted`, async () => {
    const body = message(room);
    redis.answer = answering(typeof bytes === 'function' ? bytes() : bytes);
    const answer = await sendMessage(body);
    assert.equal(answer.status, 503, answer.text);
    assert.equal(answer.json.code, 'gate_unavailable');
    assert.equal(await storedUnder(body), 0);
    await untilAccepted();
  });
}

test('a connection that closes within an answer gives 503', async () => {
  const body = message(room);
  redis.answer = (socket) => socket.end(':');
  assert.equal((await sendMessage(body)).status, 503);
  assert.equal(await storedUnder(body), 0);
  await untilAccepted();
});

test('a surplus answer is not taken as the answer to another request', async () => {
  const refused = message(room);
  redis.answer = answering(`:7\r\n${PASS}`);
  assert.equal((await sendMessage(refused)).status, 503);
  redis.answer = answering(':7\r\n');
  const next = message(room);
  assert.equal((await sendMessage(next)).status, 503);
  assert.deepEqual([await storedUnder(refused), await storedUnder(next)], [0, 0]);
  await untilAccepted();
});

test('a very long pause gives 429 with a valid Retry-After', async () => {
  const body = message(room);
  redis.answer = answering(`:${8n * (2n ** 60n - 1n) + 2n}\r\n`);
  const answer = await sendMessage(body);
  assert.equal(answer.status, 429);
  assert.match(answer.headers['retry-after'], /^\d+$/);
  assert.equal(await storedUnder(body), 0);
  await untilAccepted();
});

test('an endless answer does not fill the memory', async () => {
  const peak = () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${sidecar.process.pid}/status`, 'utf8'))[1]) * 1024;
  const before = peak();
  const { connections } = redis;
  const piece = Buffer.alloc(MIB);
  let sent = 0;
  redis.answer = (socket) => {
    socket.write(`$${HUGE}\r\n`);
    const more = () => {
      while (sent < HUGE && !socket.destroyed && socket.write(piece)) sent += MIB;
    };
    socket.on('drain', more);
    more();
  };
  assert.equal((await sendMessage(message(room))).status, 503);
  await until('the sidecar has a new connection', () => redis.connections > connections);
  assert.ok(peak() - before < 128 * MIB, `${(peak() - before) / MIB} MiB more; ${sent / MIB} MiB were sent`);
  await untilAccepted();
});

test('the sidecar has not crashed', () => assert.ok(sidecar.running, sidecar.tail()));
