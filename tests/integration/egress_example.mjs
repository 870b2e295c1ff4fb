// Starts the egress example of docs/examples in front of a simulated LiveKit (ContractService).
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../docs/examples/egress.mjs', import.meta.url));

export class EgressExample {
  // Resolves when it listens. `secret`: WEBHOOK_SECRET; by default a new one.
  static async start(livekit, { secret = `whsec_${randomBytes(32).toString('base64')}`, port = 0, env = {} } = {}) {
    const example = new EgressExample();
    example.secret = secret;
    example.process = spawn(process.execPath, [program], {
      env: {
        ...process.env,
        PORT: String(port),
        WEBHOOK_SECRET: secret,
        LIVEKIT_URL: livekit.url,
        LIVEKIT_API_KEY: 'the.key',
        LIVEKIT_API_SECRET: 'secret',
        NODE_EXTRA_CA_CERTS: livekit.certificates,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    [example.url] = await once(createInterface(example.process.stdout), 'line');
    return example;
  }

  get port() {
    return new URL(this.url).port;
  }

  async stop() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }
}
