// HTTP/1.1 connections: keep-alive, pipelining, and requests that two servers could read differently.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkEnvelope } from './envelope.mjs';
import { RawConnection, message, rawRequest } from './http.mjs';
import { sharedStack } from './stack.mjs';

let stack, room;
before(async () => {
  stack = await sharedStack();
  room = await stack.stream();
});
after(() => stack.close());

const sendRequest = (user, body, headers = {}) =>
  rawRequest('/rpc/send_message', { ...user.headers, 'content-type': 'application/json', ...headers }, JSON.stringify(body));

test('a connection is kept open until the client asks to close it', async () => {
  const connection = await RawConnection.open(stack.url);
  for (let i = 0; i < 3; i++) {
    connection.write(sendRequest(stack.user(), message(room)));
    assert.equal((await connection.answer()).status, 200);
  }
  connection.write(sendRequest(stack.user(), message(room), { connection: 'close' }));
  const last = await connection.answer();
  assert.equal(last.status, 200);
  assert.equal(last.headers.connection?.toLowerCase(), 'close');
  assert.equal(await connection.answer(), null);
});

test('20 pipelined requests are answered in order', async () => {
  const connection = await RawConnection.open(stack.url);
  const messages = Array.from({ length: 20 }, (_, i) => message(i % 5 === 3 ? stack.user().id : room, `message ${i}`));
  connection.write(messages.map((body) => sendRequest(stack.user(), body)).join(''));
  for (const [i, body] of messages.entries()) {
    const answer = await connection.answer();
    if (i % 5 === 3) {
      assert.equal(answer.status, 404);
    } else {
      assert.equal(answer.status, 200, answer.text);
      assert.equal(checkEnvelope(answer.text, stack.keyring).txn_id, body.txn_id);
    }
  }
  connection.close();
});

test('500 pipelined requests, more than are handled at once, are all answered', async () => {
  const connection = await RawConnection.open(stack.url);
  connection.write(rawRequest('/healthz', {}, '', 'GET').repeat(500));
  for (let i = 0; i < 500; i++) assert.equal((await connection.answer()).status, 200);
  connection.close();
});

test('a request that arrives byte by byte is answered', async () => {
  const connection = await RawConnection.open(stack.url);
  connection.socket.setNoDelay(true);
  for (const byte of sendRequest(stack.user(), message(room))) {
    connection.write(byte);
    await new Promise(setImmediate);
  }
  assert.equal((await connection.answer()).status, 200);
  connection.close();
});

test('a chunked body is accepted', async () => {
  const connection = await RawConnection.open(stack.url);
  const body = JSON.stringify(message(room));
  const head = rawRequest('/rpc/send_message', { ...stack.user().headers, 'content-length': undefined, 'transfer-encoding': 'chunked' });
  const chunks = [body.slice(0, 10), body.slice(10)].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  connection.write(`${head}${chunks.join('')}0\r\n\r\n`);
  assert.equal((await connection.answer()).status, 200);
  connection.close();
});

test('a request that two servers could read differently gets 400, and the connection is closed', async () => {
  const user = stack.user();
  const body = JSON.stringify(message(room));
  const length = Buffer.byteLength(body);
  const smuggled = sendRequest(user, message(room, 'smuggled'));
  const head = (lines) =>
    `POST /rpc/send_message HTTP/1.1\r\nhost: sealcast\r\nauthorization: ${user.headers.authorization}\r\n${lines.join('\r\n')}\r\n\r\n`;
  const attempts = {
    'Content-Length and Transfer-Encoding': head([`content-length: ${length}`, 'transfer-encoding: chunked']) + body,
    'Transfer-Encoding and Content-Length': head(['transfer-encoding: chunked', 'content-length: 4']) + '0\r\n\r\n',
    'two Content-Lengths': head([`content-length: ${length}`, 'content-length: 0']) + body,
    'a list of Content-Lengths': head([`content-length: ${length}, 0`]) + body,
    'a negative Content-Length': head(['content-length: -1']) + body,
    'a signed Content-Length': head([`content-length: +${length}`]) + body,
    'a hexadecimal Content-Length': head([`content-length: 0x${length.toString(16)}`]) + body,
    'an overflowing Content-Length': head(['content-length: 18446744073709551617']) + body,
    'an unknown coding': head(['transfer-encoding: gzip']) + body,
    'chunked twice': head(['transfer-encoding: chunked', 'transfer-encoding: chunked']) + '0\r\n\r\n',
    'chunked not last': head(['transfer-encoding: chunked, identity']) + '0\r\n\r\n',
    'a space before the colon': head([`content-length : ${length}`]) + body,
    'a bad chunk size': head(['transfer-encoding: chunked']) + 'zz\r\n',
    'NUL in a header': head(['x: a\0b', `content-length: ${length}`]) + body,
    'no HTTP at all': '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n',
  };
  for (const [what, bytes] of Object.entries(attempts)) {
    const connection = await RawConnection.open(stack.url);
    connection.write(bytes + smuggled);
    const answer = await connection.answer();
    assert.equal(answer?.status, 400, `${what}: ${answer?.status} ${answer?.text}`);
    assert.equal(await connection.answer(), null, `${what}: the connection stays open`);
    connection.close();
  }
  const smuggledIn = await stack.query('select from sealcast.messages where sender_id = $1', [user.id]);
  assert.deepEqual(smuggledIn, []);
});

test('large headers get 431, and a large body gets 413 before it is read', async () => {
  const headers = await RawConnection.open(stack.url);
  headers.write(rawRequest('/healthz', { x: 'x'.repeat(20_000) }, '', 'GET'));
  assert.equal((await headers.answer()).status, 431);
  headers.close();
  const body = await RawConnection.open(stack.url);
  body.write(rawRequest('/rpc/send_message', { ...stack.user().headers, 'content-length': '100000000' }));
  assert.equal((await body.answer()).status, 413);
  body.close();
});

test('the connection stays open after a 413 to a body that was read', async () => {
  const connection = await RawConnection.open(stack.url);
  const headers = { 'content-type': 'application/json' };
  connection.write(rawRequest(`/streams/${room}/token`, headers, JSON.stringify({ transport: 'x'.repeat(20_000) })));
  connection.write(sendRequest(stack.user(), message(room, 'x'.repeat(20_000))));
  connection.write(sendRequest(stack.user(), message(room)));
  for (const status of [413, 413, 200]) assert.equal((await connection.answer()).status, status);
  connection.close();
});

test('Expect: 100-continue is answered with 100', async () => {
  const connection = await RawConnection.open(stack.url);
  const whole = sendRequest(stack.user(), message(room), { expect: '100-continue' });
  const bodyAt = whole.indexOf('\r\n\r\n') + 4;
  connection.write(whole.slice(0, bodyAt));
  const go = await connection.answer();
  assert.equal(go.status, 100);
  connection.write(whole.slice(bodyAt));
  assert.equal((await connection.answer()).status, 200);
  connection.close();
});
