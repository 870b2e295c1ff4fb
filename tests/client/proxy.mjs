// A TCP proxy in front of a service, which cuts connections when a test says so.
import { once } from 'node:events';
import net from 'node:net';

export class Proxy {
  opened = 0;
  answered = 0; // bytes
  spent = 0; // budgets of cutAfter()
  #sockets = new Set();
  #budget = Infinity;
  #frozen = false;
  #refusing = false;
  #server;

  // `url` is the service's; the proxy's own `url` is the same with another address.
  static async to(url) {
    const proxy = new Proxy();
    const { hostname, port } = new URL(url);
    proxy.#server = net.createServer({ allowHalfOpen: true }, (socket) => proxy.#serve(socket, Number(port), hostname));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.port = proxy.#server.address().port;
    const own = new URL(url);
    own.port = proxy.port;
    own.hostname = '127.0.0.1';
    proxy.url = own.href.replace(/\/$/, '');
    return proxy;
  }

  #serve(socket, port, hostname) {
    this.opened++;
    if (this.#refusing) return socket.destroy();
    const service = net.connect(port, hostname);
    for (const [one, other] of [[socket, service], [service, socket]]) {
      this.#sockets.add(one);
      one.on('error', () => {});
      one.on('end', () => other.end());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    socket.on('data', (bytes) => service.write(bytes));
    service.on('data', (bytes) => this.#answer(socket, bytes));
  }

  #answer(socket, bytes) {
    if (this.#frozen) return;
    this.answered += bytes.length;
    const passed = bytes.subarray(0, this.#budget);
    this.#budget -= passed.length;
    if (this.#budget > 0) return socket.write(passed);
    this.#budget = Infinity;
    this.spent++;
    socket.write(passed, () => this.cut());
  }

  // All connections that are open, now.
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  // All connections, when so many more bytes were answered: 0 = instead of the next answer.
  cutAfter(bytes) {
    this.#budget = bytes;
  }

  // Connections stay open, and nothing comes from the service any more.
  freeze(frozen = true) {
    this.#frozen = frozen;
  }

  // Nobody gets through.
  refuse(refusing = true) {
    this.#refusing = refusing;
    if (refusing) this.cut();
  }

  async close() {
    this.#server.close();
    this.cut();
  }
}
