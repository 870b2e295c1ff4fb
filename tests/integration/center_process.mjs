// A process in the center of a test's network (network.mjs). It runs the client library, and forwards connections of the regions to
// the stack's Postgres. Imported by a test, this file exports the handle of that process; run by itself, it is the process.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);

export class CenterProcess extends EventEmitter {
  frames = []; // the frames of the subscription's handler, in order
  #process;
  #requests = new Map();

  static async start(inside) {
    const center = new CenterProcess();
    const [program, ...rest] = [...inside, 'setpriv', '--pdeathsig=KILL', '--', process.execPath, here];
    center.#process = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface(center.#process.stdout).on('line', (line) => center.#receive(JSON.parse(line)));
    return center;
  }

  #receive({ frame, id, answer, error }) {
    if (frame) {
      this.frames.push(frame);
      this.emit('changed');
      return;
    }
    const { resolve, reject } = this.#requests.get(id);
    this.#requests.delete(id);
    if (error) reject(new Error(error));
    else resolve(answer);
  }

  // Runs one of the commands below in the process; resolves with its result.
  ask(command, ...parameters) {
    const id = this.#requests.size === 0 ? 1 : Math.max(...this.#requests.keys()) + 1;
    this.#process.stdin.write(`${JSON.stringify({ id, command, parameters })}\n`);
    return new Promise((resolve, reject) => this.#requests.set(id, { resolve, reject }));
  }

  async close() {
    const ended = once(this.#process, 'exit');
    this.#process.stdin.end();
    await ended;
  }
}

async function serve() {
  const { createClient, sse } = await import('../../client/index.js');
  let client;
  let subscription;
  const write = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  const commands = {
    // Forwards connections from the port to the Unix socket.
    async forward(port, path) {
      const server = net.createServer((socket) => {
        const service = net.connect(path);
        socket.on('error', () => service.destroy());
        service.on('error', () => socket.destroy());
        socket.pipe(service).pipe(socket);
      });
      await once(server.listen(port, '0.0.0.0'), 'listening');
    },
    async get(url) {
      const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
      return { status: answer.status, text: await answer.text() };
    },
    async client(options, silenceMs) {
      client = createClient({ ...options, transports: [sse({ silenceMs })] });
    },
    async subscribe(streamId) {
      const handler = ({ offset, envelope }) => write({ frame: { offset, txnId: envelope.txn_id } });
      subscription = client.subscribeStreamEvents(streamId, handler, { from: 0 });
      await subscription.ready;
    },
    async unsubscribe() {
      await subscription.close();
    },
    async send(streamId, d) {
      return (await client.sendMessage(streamId, 'chat', d)).txn_id;
    },
    async region() {
      return client.region;
    },
  };
  const input = createInterface(process.stdin);
  input.on('line', (line) => {
    const { id, command, parameters } = JSON.parse(line);
    commands[command](...parameters).then(
      (answer) => write({ id, answer }),
      (error) => write({ id, error: String(error) }),
    );
  });
  input.on('close', () => process.exit());
}

if (process.argv[1] === here) await serve();
