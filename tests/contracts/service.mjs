// The common part of the simulated services in this folder: an HTTPS server with its own certificate, switchable faults, a record
// of the published messages, and control over standard input and output.
//
// Start:  node tests/contracts/supabase.mjs --dir DIRECTORY [--key KEY] [--names localhost,127.0.0.1] [--port 0] [more]
//   --dir    the existing directory for the certificate, which openssl makes
//   --key    the accepted API key
//   --names  the host names and addresses in the certificate
// The first line of standard output is {"url":"https://localhost:PORT","ca_file":"…","key":"…"}.
// The process ends when its standard input ends.
//
// Control: each input line is a JSON object, and each is answered by one line with a JSON object, in order. "do" is one of
//   {"do":"messages","channel":C,"from":0,"limit":1000}
//                                 → {"messages":[…]} published to C, in order, without repeats
//   {"do":"offsets","channel":C}  → {"offsets":[…]}, "offset" of each message's payload
//   {"do":"channels"}             → {"channels":{"C":count,…}}
//   {"do":"stats"}                → {"requests":n,"published":n,"repeats":n,"connections":n,"waiting":n,
//                                    "answers":{"201":n,…}}; connections: all ever made; waiting: requests without an answer
//   {"do":"forget"}               → {} clears the published messages and the counts
//   {"do":"key","key":K}          → {} K is the accepted API key from now on
//   {"do":"certificate"}          → {} makes a new certificate, and closes the connections
//   {"do":"faults", …}            → {} replaces all faults by these:
//     "stuck":true          requests are read, but never answered
//     "slow_ms":N           each answer is delayed by N ms
//     "fail_share":0.1      this share of the requests is refused with 500
//     "lost_share":0.1      this share of the requests is executed, but the connection is closed instead of an answer
//     "down":true           connections are refused, and open ones are closed; the port stays the same
//     "limited":{…}         429, with {"retry_after":seconds}; "channel":C limits it to one channel; each service has more options
//     "refuse_key":true     every request gets 401
//     "forbidden":[C,…]     requests for these channels get 403, or the service's own answer for it
//     "answer":{"status":N,"headers":{…},"body":"…","only":C}   every request gets this answer; "only": for one channel
//   {"do":"faults"}               → {} removes all faults
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const MAX_BODY = 16 * 1024 * 1024;

export function readOptions(more = {}) {
  const text = (value) => ({ type: 'string', default: value });
  const options = { dir: text('.'), key: text('key'), names: text('localhost,127.0.0.1'), port: text('0'), ...more };
  return parseArgs({ options }).values;
}

// Makes a key and a self-signed certificate, NAME.key and NAME.crt. Clients can verify the certificate with itself.
export function makeCertificate(directory, names, name = 'service') {
  const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.crt`)];
  const alternatives = names.split(',').map((name) => (/^[\d.]+$/.test(name) ? 'IP:' : 'DNS:') + name);
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', '/CN=contract', '-addext', `subjectAltName=${alternatives.join(',')}`, '-keyout', key, '-out', cert],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  for (const file of [key, cert]) chmodSync(file, 0o644); // a server of another user reads them
  return { key, cert };
}

// `handle(request)` gets {method, path, query, headers, body} and returns {status, headers, body}; it publishes with record().
// `channelOf(path)` returns a request's channel, for the faults. `refusals` makes the service's answers for the faults. `commands`
// are further control commands of the service.
export class Service {
  faults = {};
  #channels = new Map();
  #sockets = new Set();
  #counts = { requests: 0, published: 0, repeats: 0, connections: 0, waiting: 0, answers: {} };
  #server;
  #port;
  #certificate;

  constructor(options, { handle, channelOf, refusals, offsetOf, commands = {} }) {
    this.options = options;
    Object.assign(this, { handle, channelOf, refusals, offsetOf, commands });
  }

  async start() {
    const tls = { ...this.#makeTls(), keepAliveTimeout: 120_000 };
    this.#server = createServer(tls, (request, response) => this.#take(request, response));
    this.#server.on('secureConnection', (socket) => {
      this.#counts.connections += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
    this.#port = Number(this.options.port);
    await this.#listen();
    this.#port = this.#server.address().port;
    this.#write({ url: `https://localhost:${this.#port}`, ca_file: this.#certificate, key: this.options.key });
    for await (const line of createInterface({ input: process.stdin })) {
      this.#write(await this.#command(JSON.parse(line)));
    }
    process.exit(0);
  }

  #makeTls() {
    const { key, cert } = makeCertificate(this.options.dir, this.options.names);
    this.#certificate = cert;
    return { key: readFileSync(key), cert: readFileSync(cert) };
  }

  record(channel, message) {
    const messages = this.#channels.get(channel);
    if (messages) messages.push(message);
    else this.#channels.set(channel, [message]);
    this.#counts.published += 1;
  }

  recordRepeat(count) {
    this.#counts.repeats += count;
  }

  #write(value) {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  #listen() {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  async #command({ do: name, ...rest }) {
    switch (name) {
      case 'messages': {
        const { channel, from = 0, limit = 1000 } = rest;
        return { messages: (this.#channels.get(channel) ?? []).slice(from, from + limit) };
      }
      case 'offsets':
        return { offsets: (this.#channels.get(rest.channel) ?? []).map(this.offsetOf) };
      case 'channels':
        return { channels: Object.fromEntries([...this.#channels].map(([name, { length }]) => [name, length])) };
      case 'stats':
        return this.#counts;
      case 'forget':
        this.#channels.clear();
        this.#counts = { ...this.#counts, requests: 0, published: 0, repeats: 0, answers: {} };
        return {};
      case 'key':
        this.options.key = rest.key;
        return {};
      case 'certificate':
        this.#server.setSecureContext(this.#makeTls());
        for (const socket of this.#sockets) socket.destroy();
        return {};
      case 'faults':
        await this.#switchFaults(rest);
        return {};
      default:
        return this.commands[name]?.(rest) ?? { error: `unknown command "${name}"` };
    }
  }

  async #switchFaults(faults) {
    this.faults = faults;
    if (faults.down && this.#server.listening) {
      const closed = new Promise((resolve) => this.#server.close(resolve));
      for (const socket of this.#sockets) socket.destroy();
      await closed;
    } else if (!faults.down && !this.#server.listening) {
      await this.#listen();
    }
  }

  // Reads the whole body before it answers, so that the connection can be kept open.
  #take(request, response) {
    this.#counts.requests += 1;
    this.#counts.waiting += 1;
    response.once('close', () => (this.#counts.waiting -= 1));
    const pieces = [];
    let size = 0;
    request.on('data', (piece) => {
      size += piece.length;
      if (size <= MAX_BODY) pieces.push(piece);
    });
    request.on('error', () => {});
    request.on('end', () => {
      const body = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
      const [path, query] = request.url.split('?', 2);
      this.#answer({ method: request.method, path, query, headers: request.headers, body, size }, response);
    });
  }

  #answer(request, response) {
    const { stuck, slow_ms: delay, fail_share: failShare = 0, lost_share: lostShare = 0, answer } = this.faults;
    if (stuck) return;
    const channel = this.channelOf(request.path);
    let reply;
    if (answer && (answer.only === undefined || answer.only === channel)) reply = answer;
    else if (this.#chosen(failShare)) reply = this.refusals.failed();
    else reply = this.#refusal(channel, request) ?? this.handle(request);
    if (this.#chosen(lostShare)) {
      response.socket.destroy();
    } else if (delay) {
      setTimeout(() => this.#send(response, reply), delay);
    } else {
      this.#send(response, reply);
    }
  }

  #refusal(channel, request) {
    const { limited, refuse_key: refuseKey, forbidden } = this.faults;
    if (refuseKey) return this.refusals.key();
    if (limited && (limited.channel ?? channel) === channel) return this.refusals.limited(limited);
    if (forbidden?.includes(channel)) return this.refusals.forbidden(channel, request);
    return undefined;
  }

  #chosen(share) {
    return share > 0 && Math.random() < share;
  }

  #send(response, { status, headers = {}, body = '' }) {
    this.#counts.answers[status] = (this.#counts.answers[status] ?? 0) + 1;
    if (response.destroyed) return;
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...headers });
    response.end(body);
  }
}

export const json = (status, value, headers = {}) => ({
  status,
  headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers },
  body: JSON.stringify(value),
});

// A decoded segment of a path; undefined when its encoding is invalid.
export function decodeSegment(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

export const mediaType = (headers) => (headers['content-type'] ?? '').split(';', 1)[0].trim().toLowerCase();
