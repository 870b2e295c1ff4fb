// A Redis that a transport delivers to, apart from the gate's: it may be stopped, frozen and started again, and keeps
// what it has.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './stack.mjs';
import { until } from './waiting.mjs';

const run = promisify(execFile);

// The fields of an entry, which Redis gives as a list of names and values.
export const fieldsOf = (words) =>
  Object.fromEntries(words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1]]] : [])));

export class RedisTarget {
  #stack;
  #process;

  static async start(stack) {
    const target = new RedisTarget();
    target.#stack = stack;
    target.port = await freePort();
    await target.start();
    return target;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start() {
    const directory = join(this.#stack.directory, 'redis'); // which the owner of the services may write
    const files = ['--dir', directory, '--appendonly', 'yes', '--appenddirname', `target-${this.port}`];
    this.#process = this.#stack.spawn(['redis-server', '--port', `${this.port}`, '--bind', '127.0.0.1', '--save', '', ...files]);
    await until('Redis answers', async () => (await this.command('ping')) === 'PONG');
  }

  async stop(signal = 'SIGTERM') {
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }

  signal(name) {
    this.#process.kill(name);
  }

  async command(...words) {
    const { stdout } = await run('redis-cli', ['-p', `${this.port}`, '--json', '-e', ...words], { maxBuffer: 1 << 28 });
    return JSON.parse(stdout);
  }

  // The offsets in the partitions of the event plane, by stream.
  async events(partitions) {
    const offsets = new Map();
    for (let n = 0; n < partitions; n++) {
      for (const [, words] of await this.command('xrange', `sealcast:events:${n}`, '-', '+')) {
        const fields = fieldsOf(words);
        if (!offsets.has(fields.stream_id)) offsets.set(fields.stream_id, []);
        offsets.get(fields.stream_id).push(Number(fields.offset));
      }
    }
    return offsets;
  }

  // The frames of a chat stream's Redis stream, in the order in which a consumer reads them.
  async frames(streamId) {
    const entries = await this.command('xrange', `sealcast:stream:${streamId}`, '-', '+');
    return entries.map(([, words]) => {
      const entry = fieldsOf(words);
      const frame = JSON.parse(entry.frame);
      if (`${frame.offset}` !== entry.offset || `${frame.prev}` !== entry.prev) throw new Error(`fields and frame differ: ${entry.frame}`);
      return frame;
    });
  }
}
