// The first host of a DSN whose other hosts are the Postgres servers. It closes each connection, as a proxy without a
// server does, and so the sidecar uses another host. While the fault lasts, its process is stopped: the kernel accepts some connections, which
// get no answer, until the queue of the listener is full.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const PROGRAM = `require('node:net').createServer((socket) => socket.destroy())
  .listen({ host: '127.0.0.1', port: 0, backlog: 2 }, function () { console.log(this.address().port); })`;

export class FirstHost {
  static CONNECT_TIMEOUT_S = 2; // the least that libpq uses

  // `link` is a LinkGroup to the other hosts.
  static async start(stack, link) {
    const host = new FirstHost();
    host.link = link;
    host.process = stack.spawn([process.execPath, '-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
    host.port = Number((await once(createInterface(host.process.stdout), 'line'))[0]);
    return host;
  }

  get dsn() {
    const ports = [this.port, ...this.link.ports];
    const hosts = ports.map(() => '127.0.0.1');
    return `host=${hosts} port=${ports} connect_timeout=${FirstHost.CONNECT_TIMEOUT_S} target_session_attrs=read-write`;
  }

  // The number of connections that the process has not taken from the kernel.
  get waiting() {
    const port = this.port.toString(16).toUpperCase().padStart(4, '0');
    const listening = new RegExp(`:${port} 00000000:0000 0A [0-9A-F]{8}:([0-9A-F]{8}) `);
    return parseInt(listening.exec(readFileSync('/proc/net/tcp', 'utf8'))[1], 16);
  }

  // The sidecar loses its connections to the other hosts, and must pass the first one.
  inject() {
    this.process.kill('SIGSTOP');
    this.link.cut();
    return () => this.process.kill('SIGCONT');
  }
}
