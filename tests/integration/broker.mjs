// A Mosquitto of one private stack. A test may stop, freeze and start it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './stack.mjs';
import { until } from './waiting.mjs';

export class Broker {
  // With `certificate`, the broker speaks only TLS. With `clients` too, it requires a certificate of this authority.
  static async start(stack, { certificate, clients } = {}) {
    const broker = Object.assign(new Broker(), { stack, certificate });
    broker.port = await freePort();
    broker.configuration = join(stack.directory, `mosquitto-${broker.port}.conf`);
    const lines = [`listener ${broker.port} 127.0.0.1`, 'allow_anonymous true', 'max_queued_messages 0', 'max_inflight_messages 1000'];
    if (certificate) lines.push(`certfile ${certificate.cert}`, `keyfile ${certificate.key}`);
    if (clients) lines.push(`cafile ${clients}`, 'require_certificate true');
    writeFileSync(broker.configuration, lines.join('\n'), { mode: 0o644 });
    await broker.start();
    return broker;
  }

  get url() {
    return `mqtt${this.certificate ? 's' : ''}://127.0.0.1:${this.port}`;
  }

  async start() {
    this.process = this.stack.spawn(['mosquitto', '-c', this.configuration]);
    await until('the broker listens', async () => {
      const socket = net.connect(this.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.destroy();
      return true;
    });
  }

  async stop(signal = 'SIGTERM') {
    const ended = once(this.process, 'exit');
    this.process.kill(signal);
    await ended;
  }

  signal(name) {
    this.process.kill(name);
  }

  // Reads with mosquitto_sub, which reconnects by itself. `frames` has the frames of each stream with the time of their arrival,
  // `arrived`, in ms of performance.now().
  async read(rooms) {
    this.frames = new Map(rooms.map((room) => [room, []]));
    const subscriber = spawn('mosquitto_sub', ['-V', 'mqttv5', '-p', `${this.port}`, '-q', '1', '-i', 'reader', '-c', '-x', '600',
      ...rooms.flatMap((room) => ['-t', `sealcast/${room}`]), '-F', '%t %p'], { stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface(subscriber.stdout).on('line', (line) => {
      const [topic, payload] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)];
      this.frames.get(topic.slice('sealcast/'.length)).push({ ...JSON.parse(payload), arrived: performance.now() });
    });
    this.subscriber = subscriber;
  }
}
