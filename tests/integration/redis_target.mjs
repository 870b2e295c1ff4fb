// A Redis that a transport delivers to, apart from the gate's: it may be stopped, frozen and started again, and keeps
// what it has.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './stack.mjs';
import { until } from './waiting.mjs';

const run = promisify(execFile);

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

  async stop() {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await ended;
  }

  signal(name) {
    this.#process.kill(name);
  }

  async command(...words) {
    const { stdout } = await run('redis-cli', ['-p', `${this.port}`, '--json', '-e', ...words], { maxBuffer: 1 << 28 });
    return JSON.parse(stdout);
  }

  // The frames of a chat stream's Redis stream, in the order in which a consumer reads them.
  async frames(streamId) {
    const entries = await this.command('xrange', `sealcast:stream:${streamId}`, '-', '+');
    return entries.map(([, fields]) => {
      const entry = Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]]] : [])));
      const frame = JSON.parse(entry.frame);
      if (`${frame.offset}` !== entry.offset || `${frame.prev}` !== entry.prev) throw new Error(`fields and frame differ: ${entry.frame}`);
      return frame;
    });
  }
}
