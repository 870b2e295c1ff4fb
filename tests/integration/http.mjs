// HTTP for tests: requests, raw connections, and event streams.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { within } from './waiting.mjs';

const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });

// Makes one request; resolves with {status, headers, text, json}. A `body` of text or bytes is sent unchanged, any other as JSON.
// `from` is the local address of the connection.
export function request(url, { method = 'GET', headers = {}, body, timeout = 15_000, from } = {}) {
  const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const length = bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(bytes) };
    const options = { method, agent, localAddress: from, headers: { ...length, ...headers } };
    const outgoing = http.request(url, options, (incoming) => {
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: incoming.statusCode,
          headers: incoming.headers,
          text,
          get json() {
            return JSON.parse(text);
          },
        });
      });
    });
    outgoing.setTimeout(timeout, () => outgoing.destroy(new Error(`no answer from ${url} within ${timeout} ms`)));
    outgoing.on('error', reject);
    outgoing.end(bytes);
  });
}

export function message(streamId, content = 'hello', rest = {}) {
  return { stream_id: streamId, t: 'chat', d: { content }, txn_id: randomUUID(), ...rest };
}

// POST /rpc/send_message as `user`.
export function send(url, user, body, headers = {}) {
  return request(`${url}/rpc/send_message`, { method: 'POST', headers: { ...user.headers, ...headers }, body });
}

// The bytes of a request, for raw connections.
export function rawRequest(path, headers, body = '', method = 'POST') {
  const lines = Object.entries({ host: 'sealcast', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

// A TCP connection on which a test writes any bytes, and reads answers in order.
export class RawConnection {
  #buffer = Buffer.alloc(0);
  #changed = new EventEmitter();
  ended = false;

  static async open(url) {
    const { hostname, port } = new URL(url);
    const socket = net.connect(Number(port), hostname);
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  constructor(socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#changed.emit('changed');
    });
    const end = () => {
      this.ended = true;
      this.#changed.emit('changed');
    };
    socket.on('end', end);
    socket.on('error', end);
    socket.on('close', end);
  }

  write(bytes) {
    this.socket.write(bytes);
  }

  // The next answer, or null when the server has closed the connection.
  async answer() {
    return within('an answer on the connection', this.#answer());
  }

  async #answer() {
    for (;;) {
      const head = this.#buffer.indexOf('\r\n\r\n');
      if (head >= 0) {
        const [start, ...lines] = this.#buffer.subarray(0, head).toString().split('\r\n');
        const headers = Object.fromEntries(
          lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
        );
        const length = Number(headers['content-length'] ?? 0);
        if (this.#buffer.length >= head + 4 + length) {
          const text = this.#buffer.subarray(head + 4, head + 4 + length).toString();
          this.#buffer = this.#buffer.subarray(head + 4 + length);
          return { status: Number(start.split(' ')[1]), headers, text };
        }
      }
      if (this.ended) {
        assert.equal(this.#buffer.length, 0, `the server closed the connection within an answer: ${this.#buffer}`);
        return null;
      }
      await once(this.#changed, 'changed');
    }
  }

  close() {
    this.socket.destroy();
  }
}

// A subscriber of a stream's events. `frames` are its parsed frames, and `resets` its reset frames.
export class Subscriber extends EventEmitter {
  frames = [];
  arrivals = []; // the time of each frame's arrival, ms
  resets = [];
  retained = []; // the frames of retained messages, which come before `ready` and have no id
  notices = []; // the envelopes of the notices to the user
  comments = [];
  lastEventId = undefined;
  ready = false; // the event `ready` has arrived
  open = false;
  #buffer = '';
  #fields = {}; // of the event that is being read
  #outgoing;

  // Resolves when the server has answered with an event stream; fails on any other answer.
  static async to(url, streamId, { lastEventId, headers = {}, query = '' } = {}) {
    const subscriber = new Subscriber();
    subscriber.lastEventId = lastEventId;
    const resume = lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) };
    const incoming = await within(
      `an event stream of ${url}`,
      new Promise((resolve, reject) => {
        subscriber.#outgoing = http.get(
          `${url}/streams/${streamId}/events${query}`,
          { agent: false, headers: { accept: 'text/event-stream', ...resume, ...headers } },
          resolve,
        );
        subscriber.#outgoing.on('error', reject);
      }),
    );
    if (incoming.statusCode !== 200) {
      const body = await text(incoming);
      assert.fail(`events of ${streamId}: ${incoming.statusCode} ${body}`);
    }
    incoming.socket.unref(); // so that the file of a failed test can end while this is open
    subscriber.headers = incoming.headers;
    subscriber.open = true;
    incoming.setEncoding('utf8');
    incoming.on('data', (text) => subscriber.#take(text));
    const close = () => {
      subscriber.open = false;
      subscriber.emit('changed');
    };
    incoming.on('error', close);
    incoming.on('close', close);
    return subscriber;
  }

  #take(text) {
    this.#buffer += text;
    for (let end; (end = this.#buffer.indexOf('\n')) >= 0; this.#buffer = this.#buffer.slice(end + 1)) {
      this.#line(this.#buffer.slice(0, end));
    }
    this.emit('changed');
  }

  #line(line) {
    if (line === '') this.#event();
    else if (line.startsWith(':')) this.comments.push(line);
    else if (line.startsWith('data: ')) this.#fields.data = line.slice(6);
    else if (line.startsWith('id: ')) this.#fields.id = line.slice(4);
    else if (line === 'event: ready') this.#fields.ready = true;
    else if (line === 'event: notice') this.#fields.notice = true;
    else assert.match(line, /^retry: \d+$/, 'a line that EventSource would ignore');
  }

  #event() {
    const { id, data: text, ready, notice } = this.#fields;
    this.#fields = {};
    if (notice) {
      assert(id === undefined && text, 'a notice has no id');
      this.notices.push(JSON.parse(text));
      return;
    }
    const { retained } = text ? JSON.parse(text) : {};
    if (retained) {
      assert(!id && !this.ready, 'a retained message comes before `ready`, and is no resume point');
      this.retained.push(JSON.parse(text));
      return;
    }
    assert(id && text, 'an event without an id, or without data');
    this.lastEventId = id;
    const frame = JSON.parse(text);
    if (ready) {
      assert.equal(text, '{}');
      assert(!this.ready && this.frames.length === 0, '`ready` comes once, before the frames');
      this.ready = true;
    } else if (frame.reset) {
      assert(!this.ready, 'a reset comes before `ready`');
      this.resets.push(frame);
    } else {
      assert(this.ready, '`ready` comes before the frames');
      this.frames.push({ ...frame, id, text });
      this.arrivals.push(Date.now());
    }
  }

  // Resolves when `count` frames have arrived.
  async received(count, limit) {
    await within(
      `${count} frames`,
      (async () => {
        while (this.frames.length < count) {
          assert(this.open, `the event stream ended after ${this.frames.length} of ${count} frames`);
          await once(this, 'changed');
        }
      })(),
      limit,
    ).catch((error) => {
      throw new Error(`${error.message} (${this.frames.length} arrived)`, { cause: error });
    });
    return this.frames;
  }

  close() {
    this.#outgoing.destroy();
  }
}
