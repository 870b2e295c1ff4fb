// A Redis that lies can refuse everybody and let everybody through. It cannot have a message stored twice or lost, and it
// cannot end the sidecar.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { message, send } from './http.mjs';
import { LyingRedis, PASS, SEEN } from './lying_redis.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const MIB = 1024 * 1024;
const HUGE = 512 * MIB; // the longest that a bulk string of Redis's own is

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

const says = (bytes) => (socket) => socket.write(bytes);
const tell = (body, user = stack.user()) => send(sidecar.url, user, body);
const storedUnder = async ({ txn_id }) => (await stack.stored(room)).filter((one) => one === txn_id).length;

async function worksAgain() {
  redis.answer = says(PASS);
  await until('messages are let through again', async () => (await tell(message(room))).status === 200);
}

test('what it says of new and of repeated messages decides nothing', async () => {
  for (const [first, second] of [[SEEN, SEEN], [PASS, PASS], [SEEN, PASS]]) {
    const [user, body] = [stack.user(), message(room)];
    redis.answer = says(first);
    const original = await tell(body, user);
    redis.answer = says(second);
    const repeat = await tell(body, user);
    assert.deepEqual([original.status, original.headers['idempotency-replayed']], [200, undefined]);
    assert.deepEqual([repeat.status, repeat.headers['idempotency-replayed']], [200, 'true']);
    assert.equal(repeat.text, original.text);
    checkEnvelope(original.text, stack.keyring);
    assert.equal(await storedUnder(body), 1);
  }
});

const nested = `${'*1\r\n'.repeat(6)}:4\r\n`;
for (const [what, bytes] of Object.entries({
  'a negative number': ':-1\r\n',
  'an outcome that is none': ':7\r\n',
  'a number over 63 bits': ':9223372036854775808\r\n',
  'no number': ':four\r\n',
  'a text': '$1\r\n4\r\n',
  'a status': '+4\r\n',
  'an error': '-ERR 4\r\n',
  'null': '$-1\r\n',
  'an array': '*1\r\n:4\r\n',
  'arrays in arrays': nested,
  'arrays deeper than a reader goes': `${'*1\r\n'.repeat(100_000)}:4\r\n`,
  'an array of four thousand million': '*4294967295\r\n',
  'an array of two thousand million': '*2147483647\r\n',
  'a text of less than nothing': '$-2\r\n',
  'a type of the next protocol': '%1\r\n:4\r\n:4\r\n',
  'a redirection to itself, for ever': () => `-MOVED 1 127.0.0.1:${redis.port}\r\n`,
  'a redirection to nowhere': '-MOVED 99999 :0\r\n',
  'that the script is not there, for ever': '-NOSCRIPT\r\n',
  'no RESP': 'HTTP/1.1 200 OK\r\n\r\n',
})) {
  test(`it answers ${what}: 503, and nothing is inserted`, async () => {
    const body = message(room);
    redis.answer = says(typeof bytes === 'function' ? bytes() : bytes);
    const answer = await tell(body);
    assert.equal(answer.status, 503, answer.text);
    assert.equal(answer.json.code, 'gate_unavailable');
    assert.equal(await storedUnder(body), 0);
    await worksAgain();
  });
}

test('it closes in the middle of an answer', async () => {
  const body = message(room);
  redis.answer = (socket) => socket.end(':');
  assert.equal((await tell(body)).status, 503);
  assert.equal(await storedUnder(body), 0);
  await worksAgain();
});

test('it answers more than it was asked: nobody else\'s answer is that', async () => {
  const refused = message(room);
  redis.answer = says(`:7\r\n${PASS}`);
  assert.equal((await tell(refused)).status, 503);
  redis.answer = says(':7\r\n');
  const next = message(room);
  assert.equal((await tell(next)).status, 503);
  assert.deepEqual([await storedUnder(refused), await storedUnder(next)], [0, 0]);
  await worksAgain();
});

test('it lets nobody in for a very long time', async () => {
  const body = message(room);
  redis.answer = says(`:${4n * (2n ** 61n - 1n) + 2n}\r\n`);
  const answer = await tell(body);
  assert.equal(answer.status, 429);
  assert.match(answer.headers['retry-after'], /^\d+$/);
  assert.equal(await storedUnder(body), 0);
  await worksAgain();
});

test('an answer without an end does not fill the memory', async () => {
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
  assert.equal((await tell(message(room))).status, 503);
  await until('the sidecar has another connection', () => redis.connections > connections);
  assert.ok(peak() - before < 128 * MIB, `${(peak() - before) / MIB} MiB more; ${sent / MIB} MiB were sent`);
  await worksAgain();
});

test('the sidecar is the one that began', () => assert.ok(sidecar.running, sidecar.tail()));
