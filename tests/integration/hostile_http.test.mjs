// HTTP attacks: smuggled requests, injected headers, memory exhaustion, and requests from pages of other sites.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { RawConnection, Subscriber, message, request } from './http.mjs';
import { sharedStack } from './stack.mjs';

let stack, room;
before(async () => {
  stack = await sharedStack();
  room = await stack.stream();
});
after(() => stack.close());

const CHUNKED = 'transfer-encoding: chunked';
const chunk = (size, body, rest = '\r\n0\r\n\r\n') => `${size}\r\n${body}${rest}`;

// Sends `bytes` and then another request. Returns the statuses of both answers; undefined when the connection was closed.
async function statusesOf(bytes) {
  const connection = await RawConnection.open(stack.url);
  connection.socket.write(Buffer.from(`${bytes}GET /healthz HTTP/1.1\r\nhost: sealcast\r\n\r\n`, 'latin1'));
  const first = await connection.answer();
  const second = first && (await connection.answer());
  connection.close();
  return [first?.status, second?.status];
}

// The bytes of a request that sends a message. `lines` makes header lines from the length, `framed` makes the body from the JSON.
function sending(lines, framed, { version = '1.1', separator = '\r\n' } = {}) {
  const user = stack.user();
  const json = JSON.stringify(message(room));
  const length = Buffer.byteLength(json);
  const head = [`POST /rpc/send_message HTTP/${version}`, 'host: sealcast', 'content-type: application/json', `authorization: ${user.headers.authorization}`, ...lines(length)];
  return `${head.join(separator)}${separator}${separator}${framed(json, length.toString(16))}`;
}
const sized = (...lines) => sending((length) => [...lines, `content-length: ${length}`], (json) => json);
const chunked = (framed, lines = [CHUNKED]) => sending(() => lines, framed);

test('the rest of a refused request is not read as another request', async () => {
  const attempts = {
    'a folded Transfer-Encoding': sized('transfer-encoding:\r\n chunked'),
    'LF for CRLF': sending((length) => [`content-length: ${length}`], (json) => json, { separator: '\n' }),
    'one LF for CRLF': sized('x: a\ny: b'),
    'a bare CR': sized('x: a\ry: b'),
    'DEL in a header': sized('x: a\x7fb'),
    'an unknown coding that ends alike': chunked((json, size) => chunk(size, json), ['transfer-encoding: xchunked']),
    'a coding with a vertical tab': chunked((json, size) => chunk(size, json), ['transfer-encoding: chunked\x0b']),
    'a coding in quotes': chunked((json, size) => chunk(size, json), ['transfer-encoding: "chunked"']),
    'a coding behind a tab': chunked((json, size) => chunk(size, json), ['transfer-encoding\t: chunked']),
    'no coding': sized('transfer-encoding: '),
    'the coding identity': sized('transfer-encoding: identity'),
    'a header before the first': sized('x: y').replace('\r\nhost', '\r\n x: y\r\nhost'),
    'an empty Content-Length': sending(() => ['content-length: '], (json) => json),
    'two numbers in Content-Length': sending((length) => [`content-length: ${length} 0`], (json) => json),
    'a header without a name': sized(': y'),
    'a header without a colon': sized('x'),
    'a space in a header name': sized('x y: z'),
    'NUL in a header name': sized('x\0y: z'),
    'two Hosts': sized('host: other'),
    'a chunk extension that ends with LF': chunked((json, size) => `${size};x\n${json}\r\n0\r\n\r\n`),
    'a chunk size that ends with LF': chunked((json, size) => `${size}\n${json}\r\n0\r\n\r\n`),
    'a bare CR in a chunk extension': chunked((json, size) => chunk(`${size};x\ry`, json)),
    'a chunk size in C': chunked((json, size) => chunk(`0x${size}`, json)),
    'a signed chunk size': chunked((json, size) => chunk(`+${size}`, json)),
    'a negative chunk size': chunked((json, size) => chunk(`-${size}`, json)),
    'a space before the chunk size': chunked((json, size) => chunk(` ${size}`, json)),
    'a space after the chunk size': chunked((json, size) => chunk(`${size} `, json)),
    'an overflowing chunk size': chunked((json, size) => chunk(`10000000000000000${size}`, json)),
    'a chunk that is longer than it says': chunked((json, size) => chunk(size, `${json}x`)),
    'LF after a chunk': chunked((json, size) => chunk(size, json, '\n0\r\n\r\n')),
    'LF after the last chunk': chunked((json, size) => chunk(size, json, '\r\n0\n\n')),
    'Content-Length in the trailer': chunked((json, size) => chunk(size, json, '\r\n0\r\ncontent-length: 5\r\n\r\n')),
    'Transfer-Encoding in the trailer': chunked((json, size) => chunk(size, json, '\r\n0\r\ntransfer-encoding: gzip\r\n\r\n')),
    'HTTP/0.9': 'GET /healthz\r\n\r\n',
    'HTTP/1.2': sized().replace('HTTP/1.1', 'HTTP/1.2'),
    'HTTP/2.0': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'two spaces in the request line': 'GET  /healthz HTTP/1.1\r\nhost: sealcast\r\n\r\n',
    'a space in the path': 'GET /healthz x HTTP/1.1\r\nhost: sealcast\r\n\r\n',
    'tabs in the request line': 'GET\t/healthz\tHTTP/1.1\r\nhost: sealcast\r\n\r\n',
    'NUL in the path': 'GET /healthz\0 HTTP/1.1\r\nhost: sealcast\r\n\r\n',
  };
  for (const [what, bytes] of Object.entries(attempts)) assert.deepEqual(await statusesOf(bytes), [400, undefined], what);
});

test('an unusual but unambiguous request is read exactly to its end', async () => {
  const attempts = {
    'the same Content-Length twice': sending((length) => [`content-length: ${length}`, `content-length: ${length}`], (json) => json),
    'Content-Length with zeros in front': sending((length) => [`content-length: 000${length}`], (json) => json),
    'a folded Content-Length': sending((length) => [`content-length:\r\n ${length}`], (json) => json),
    'a folded header that means nothing': sized('x: a\r\n b'),
    'Transfer-Encoding in capitals': chunked((json, size) => chunk(size, json), ['TRANSFER-ENCODING: CHUNKED']),
    'chunk extensions': chunked((json, size) => chunk(`${size};a=b;c="d"`, json)),
    'a chunk size with zeros in front': chunked((json, size) => chunk(size.padStart(40, '0'), json)),
    'a trailer': chunked((json, size) => chunk(size, json, '\r\n0\r\nx: y\r\n\r\n')),
    'several spaces after Bearer': sized().replace('Bearer ', 'bearer   '),
    'an empty line before it': `\r\n${sized()}`,
  };
  for (const [what, bytes] of Object.entries(attempts)) assert.deepEqual(await statusesOf(bytes), [200, 200], what);
  const body = 'GET /readyz HTTP/1.1\r\nhost: sealcast\r\n\r\n';
  const ofGet = `GET /healthz HTTP/1.1\r\nhost: sealcast\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  assert.deepEqual(await statusesOf(ofGet), [200, 200], 'a GET with a body');
  const old = sending(() => [CHUNKED], (json, size) => chunk(size, json), { version: '1.0' });
  assert.deepEqual(await statusesOf(old), [200, undefined], 'HTTP/1.0 has no chunks, so the connection is closed');
  assert.deepEqual(await statusesOf('GET http://evil.example/healthz HTTP/1.1\r\nhost: sealcast\r\n\r\n'), [200, 200], 'the host of a target does not count');
  for (const target of ['//evil.example/healthz', '*', '/healthz/../metrics', '/%68ealthz']) {
    const [status, second] = await statusesOf(`GET ${target} HTTP/1.1\r\nhost: sealcast\r\n\r\n`);
    assert.deepEqual([status, second], [404, 200], target);
  }
});

test('an Authorization header in a trailer is ignored', async () => {
  const json = JSON.stringify(message(room));
  const head = `POST /rpc/send_message HTTP/1.1\r\nhost: sealcast\r\ncontent-type: application/json\r\n${CHUNKED}\r\n\r\n`;
  const trailer = `\r\n0\r\nauthorization: ${stack.user().headers.authorization}\r\n\r\n`;
  assert.deepEqual(await statusesOf(head + chunk(json.length.toString(16), json, trailer)), [401, 200]);
});

test('the parts of a request have size limits', async () => {
  const filler = 'x'.repeat(100_000);
  const attempts = {
    'a chunk extension': [chunked((json, size) => chunk(`${size};${filler}`, json)), 431],
    'a chunk size': [chunked((json, size) => chunk(size.padStart(100_000, '0'), json)), 431],
    'a trailer': [chunked((json, size) => chunk(size, json, `\r\n0\r\nx: ${filler}\r\n\r\n`)), 431],
    'a header': [sized(`x: ${filler}`), 431],
    'many headers': [sized(...Array.from({ length: 10_000 }, (_, i) => `x${i}: y`)), 431],
    'a path': [`GET /${filler} HTTP/1.1\r\nhost: sealcast\r\n\r\n`, 431],
    'a chunk': [chunked((json) => chunk('7FFFFFFFFFFFFFFF', json)), 413],
  };
  for (const [what, [bytes, status]] of Object.entries(attempts)) {
    assert.deepEqual(await statusesOf(bytes), [status, undefined], what);
  }
});

test('an answer contains no text from the request', async () => {
  const line = '%0d%0aX-Injected:%20yes';
  const user = stack.user();
  const requests = [
    [`/streams/${line}/events`],
    [`/streams/${room}${line}/messages`],
    [`/streams/${room}/messages?after=1${line}`],
    [`/streams/${room}/messages?channel=${line}`],
    [`/streams/${room}/messages?access_token=${line}`],
    [`/streams/${room}/token?${line}=${line}`, user.headers, 'POST'],
    [`/${line}`],
    ['/regions', { 'x-forwarded-for': line }],
    ['/regions', { 'x-forwarded-for': '127.0.0.1, evil"><script>' }],
    ['/healthz', { origin: `https://evil.example${line}`, host: `evil.example${line}`, referer: line }],
    ['/healthz', { forwarded: `host=${line}`, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'evil' }],
    ['/rpc/send_message', { ...user.headers, 'content-type': line }, 'POST'],
    ['/rpc/send_message', { authorization: `Bearer ${line}` }, 'POST'],
  ];
  for (const [path, headers = {}, method = 'GET'] of requests) {
    const answer = await request(`${stack.url}${path}`, { method, headers: { connection: 'close', ...headers } });
    assert.equal(answer.headers['x-injected'], undefined, path);
    const values = JSON.stringify(answer.headers);
    for (const sent of ['Injected', 'evil', '<script']) {
      assert.ok(!values.includes(sent), `${path}: ${sent} in ${values}`);
      assert.ok(!answer.text.includes(sent), `${path}: ${sent} in ${answer.text}`);
    }
  }
});

const PUBLIC = '/.well-known/sealcast-keys'; // pages of every origin may read it

// The headers of the answers to each kind of request that a browser sends for a page of `origin`.
async function headersForPage(path, origin) {
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };
  const answers = [
    await request(`${stack.url}${path}`, { method: 'POST', headers: { ...stack.user().headers, origin }, body: message(room) }),
    await request(`${stack.url}${path}`, { method: 'OPTIONS', headers: { origin, ...preflight } }),
  ];
  if (!path.endsWith('/events')) answers.push(await request(`${stack.url}${path}`, { headers: { origin } }));
  else {
    const subscriber = await Subscriber.to(stack.url, room, { headers: { origin } });
    subscriber.close();
    answers.push(subscriber);
  }
  return answers.map(({ headers }) => headers);
}

test('without http.cors_origins no path allows pages of other sites to read answers', async () => {
  const { paths } = (await request(`${stack.url}/openapi.json`)).json;
  assert.ok(PUBLIC in paths);
  const served = Object.keys(paths).map((path) => path.replace('{id}', room).replace('{function}', 'mute'));
  for (const path of [...served, '/', '/no/such/path']) {
    for (const origin of ['https://evil.example', 'null', stack.url]) {
      for (const headers of await headersForPage(path, origin)) {
        const cors = Object.keys(headers).filter((name) => name.startsWith('access-control-'));
        assert.deepEqual(cors, path === PUBLIC && cors.length > 0 ? ['access-control-allow-origin'] : [], `${path}, a page of ${origin}`);
        assert.equal(headers['x-content-type-options'], 'nosniff');
      }
    }
  }
  assert.equal((await request(`${stack.url}${PUBLIC}`, { headers: { origin: 'null' } })).headers['access-control-allow-origin'], '*');
});

test('only the owner and one group may use the gate socket', () => {
  const socket = statSync(join(stack.postgres.host, 'gate.sock'));
  assert.ok(socket.isSocket());
  assert.equal((socket.mode & 0o777).toString(8), '660');
});
