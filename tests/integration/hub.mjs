// The hub of a test's network: a process in its namespace, where the client library runs, and which leads the regions to
// the stack's Postgres. Run by node:test it is the handle of that process; run in the namespace, the process.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(import.meta.url);

export class Hub extends EventEmitter {
  frames = []; // what the subscription's handler got, in order
  #process;
  #questions = new Map();

  static async start(inside) {
    const hub = new Hub();
    const [program, ...rest] = [...inside, 'setpriv', '--pdeathsig=KILL', '--', process.execPath, here];
    hub.#process = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface(hub.#process.stdout).on('line', (line) => hub.#hear(JSON.parse(line)));
    return hub;
  }

  #hear({ frame, id, answer, error }) {
    if (frame) {
      this.frames.push(frame);
      this.emit('changed');
      return;
    }
    const { resolve, reject } = this.#questions.get(id);
    this.#questions.delete(id);
    if (error) reject(new Error(error));
    else resolve(answer);
  }

  // One of the commands below.
  ask(command, ...parameters) {
    const id = this.#questions.size === 0 ? 1 : Math.max(...this.#questions.keys()) + 1;
    this.#process.stdin.write(`${JSON.stringify({ id, command, parameters })}\n`);
    return new Promise((resolve, reject) => this.#questions.set(id, { resolve, reject }));
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
  const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);
  const commands = {
    // Whoever connects to the port talks to the Unix socket.
    async lead(port, path) {
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
      const handler = ({ offset, envelope }) => say({ frame: { offset, txnId: envelope.txn_id } });
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
      (answer) => say({ id, answer }),
      (error) => say({ id, error: String(error) }),
    );
  });
  input.on('close', () => process.exit());
}

if (process.argv[1] === here) await serve();
