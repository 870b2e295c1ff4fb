// A Redis that a transport delivers to, separate from the gate's. A test may stop, freeze and start it; it keeps its data.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './stack.mjs';
import { until } from './waiting.mjs';

const run = promisify(execFile);

// The fields of an entry as an object. Redis returns them as a list of names and values.
export const fieldsOf = (list) =>
  Object.fromEntries(list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1]]] : [])));

// Options with which a server or a sentinel speaks only TLS.
export const tlsOptions = (port, { cert, key }) => [
  ...['--port', '0', '--tls-port', `${port}`, '--tls-replication', 'yes', '--tls-auth-clients', 'no'],
  ...['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert],
];

export class RedisTarget {
  #stack;
  #process;
  #options = [];

  // `options` are further ones of redis-server, which replace the usual ones. `password` is the one that redis-cli sends. With
  // `certificate`, the server speaks only TLS.
  static async start(stack, options = [], { password, certificate } = {}) {
    const target = new RedisTarget();
    target.#stack = stack;
    target.port = await freePort();
    Object.assign(target, { password, certificate });
    target.#options = [...(certificate ? tlsOptions(target.port, certificate) : []), ...options];
    await target.start();
    return target;
  }

  get url() {
    return `redis${this.certificate ? 's' : ''}://127.0.0.1:${this.port}`;
  }

  // The owner of the services may write here.
  get #directory() {
    return join(this.#stack.directory, 'redis');
  }

  async start() {
    const files = ['--dir', this.#directory, '--appendonly', 'yes', '--appenddirname', `target-${this.port}`];
    const own = ['--dbfilename', `target-${this.port}.rdb`, ...this.#options];
    this.#process = this.#stack.spawn(['redis-server', '--port', `${this.port}`, '--bind', '127.0.0.1', '--save', '', ...files, ...own]);
    await until('Redis answers', async () => (await this.command('ping')) === 'PONG');
  }

  // Copies the data of the running server. Without rewrites of its append-only files, the copy is a state that it had.
  // startFrom() starts the ended server with the copy.
  async copyData() {
    const data = join(this.#directory, `target-${this.port}`);
    rmSync(`${data}-copy`, { recursive: true, force: true });
    await run('cp', ['-a', data, `${data}-copy`]);
    return `${data}-copy`;
  }

  async startFrom(copy) {
    const data = join(this.#directory, `target-${this.port}`);
    rmSync(data, { recursive: true });
    await run('mv', [copy, data]);
    await this.start();
  }

  async stop(signal = 'SIGTERM') {
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }

  signal(name) {
    this.#process.kill(name);
  }

  async command(...args) {
    return JSON.parse(await this.text('--json', ...args));
  }

  // The reply as text, as of INFO.
  async text(...args) {
    const tls = this.certificate ? ['--tls', '--cacert', this.certificate.cert] : [];
    const env = { ...process.env, ...(this.password && { REDISCLI_AUTH: this.password }) };
    const { stdout } = await run('redis-cli', ['-p', `${this.port}`, ...tls, '-e', '--no-auth-warning', ...args], { env, maxBuffer: 1 << 28 });
    return stdout;
  }

  // The offsets in the event partitions, by stream.
  async events(partitions) {
    const offsets = new Map();
    for (let n = 0; n < partitions; n++) {
      for (const [, list] of await this.command('xrange', `sealcast:events:${n}`, '-', '+')) {
        const fields = fieldsOf(list);
        if (!offsets.has(fields.stream_id)) offsets.set(fields.stream_id, []);
        offsets.get(fields.stream_id).push(Number(fields.offset));
      }
    }
    return offsets;
  }

  // The entries of a chat stream's Redis stream, in the order in which a consumer reads them: [{id, frame}].
  async entries(streamId) {
    const entries = await this.command('xrange', `sealcast:stream:${streamId}`, '-', '+');
    return entries.map(([id, list]) => {
      const entry = fieldsOf(list);
      const frame = JSON.parse(entry.frame);
      if (`${frame.offset}` !== entry.offset || `${frame.prev}` !== entry.prev) throw new Error(`fields and frame differ: ${entry.frame}`);
      return { id, frame };
    });
  }

  async frames(streamId) {
    return (await this.entries(streamId)).map(({ frame }) => frame);
  }
}
