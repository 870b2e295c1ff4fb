// A RabbitMQ with its plugin for MQTT, in the chroot that $RABBITMQ names. A test may kill it and start it again.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';

const chroot = process.env.RABBITMQ;
const functions = fileURLToPath(new URL('../chroot.sh', import.meta.url));

export class RabbitMq {
  log = [];
  user = 'sealcast';
  password = randomBytes(16).toString('hex');

  static async start() {
    const broker = new RabbitMq();
    broker.port = await freePort();
    broker.directory = mkdtempSync(join(chroot, 'tmp/rabbitmq-'));
    broker.inside = broker.directory.slice(chroot.length); // the directory as a process in the chroot sees it
    broker.write(
      'rabbitmq.conf',
      [
        'listeners.tcp = none',
        `mqtt.listeners.tcp.1 = 127.0.0.1:${broker.port}`,
        `default_user = ${broker.user}`,
        `default_pass = ${broker.password}`,
        'log.console = true',
        'log.file = false',
      ].join('\n'),
    );
    broker.write('plugins', '[rabbitmq_mqtt].');
    broker.environment = {
      RABBITMQ_CONFIG_FILE: `${broker.inside}/rabbitmq.conf`,
      RABBITMQ_ENABLED_PLUGINS_FILE: `${broker.inside}/plugins`,
      RABBITMQ_MNESIA_BASE: `${broker.inside}/data`,
      RABBITMQ_NODENAME: `sealcast-${broker.port}@localhost`,
      RABBITMQ_DIST_PORT: await freePort(),
      ERL_EPMD_PORT: await freePort(),
      ERL_EPMD_ADDRESS: '127.0.0.1',
    };
    mkdirSync(join(broker.directory, 'data'));
    await broker.start();
    return broker;
  }

  // Writes a file with mode 644 and returns its path.
  write(name, content) {
    writeFileSync(join(this.directory, name), content, { mode: 0o644 });
    return join(this.directory, name);
  }

  get url() {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  async start() {
    const variables = Object.entries(this.environment).map(([name, value]) => `${name}=${value}`);
    const script = '. "$1"; shift; in_chroot "$@"';
    const server = ['sh', '-c', `chown -R rabbitmq: ${this.inside} && exec rabbitmq-server`];
    this.process = spawn('bash', ['-euc', script, 'bash', functions, chroot, 'env', ...variables, ...server], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own, for kill()
    });
    for (const output of [this.process.stdout, this.process.stderr]) createInterface(output).on('line', (line) => this.log.push(line));
    const started = this.log.length;
    await until(
      'RabbitMQ has started',
      () => this.process.exitCode !== null || this.log.slice(started).some((line) => line.includes('Server startup complete')),
      120_000,
    );
    if (this.process.exitCode !== null) throw new Error(`RabbitMQ did not start\n${this.log.join('\n')}`);
  }

  // Ends all its processes at once, as a power failure does. Its files stay.
  async kill() {
    const ended = once(this.process, 'close');
    process.kill(-this.process.pid, 'SIGKILL');
    await ended;
  }

  async close() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill();
    rmSync(this.directory, { recursive: true });
  }
}
