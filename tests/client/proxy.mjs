// A TCP proxy in front of a service, which cuts connections, delays and holds what they carry, when a test says so.
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export class Proxy {
  opened = 0;
  answered = 0; // bytes
  spent = 0; // budgets of cutAfter()
  #sockets = new Set();
  #budget = Infinity;
  #frozen = false;
  #refusing = false;
  #delay = 0;
  #held; // {released, release} while hold() holds
  #server;

  // `url` is the service's; the proxy's own `url` is the same with another address. `path`: it listens on this Unix socket.
  static async to(url, { path } = {}) {
    const proxy = new Proxy();
    const { hostname, port } = new URL(url);
    const service = path ? { path } : { port: Number(port), host: hostname };
    proxy.#server = net.createServer({ allowHalfOpen: true }, (socket) => proxy.#serve(socket, service));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.port = proxy.#server.address().port;
    const own = new URL(url);
    own.port = proxy.port;
    own.hostname = '127.0.0.1';
    proxy.url = own.href.replace(/\/$/, '');
    return proxy;
  }

  #serve(socket, address) {
    this.opened++;
    if (this.#refusing) return socket.destroy();
    const service = net.connect(address);
    const [asked, answered] = [this.#inOrder(), this.#inOrder()];
    for (const [one, other, then] of [[socket, service, asked], [service, socket, answered]]) {
      this.#sockets.add(one);
      one.on('error', () => {});
      one.on('end', () => then(() => other.end()));
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    socket.on('data', (bytes) => asked(() => service.write(bytes)));
    service.on('data', (bytes) => answered(() => this.#answer(socket, bytes)));
  }

  // One direction of a connection: does one thing after the other, each as late as delay() and hold() want it.
  #inOrder() {
    let last;
    return (action) => {
      if (!last && this.#delay === 0 && !this.#held) return action();
      const turn = Promise.all([last, this.#held?.released, pause(this.#delay)]).then(() => {
        action();
        if (last === turn) last = undefined;
      });
      last = turn;
    };
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

  // Everything arrives so many ms later.
  delay(ms) {
    this.#delay = ms;
  }

  // Nothing gets through, and all of it does when it is let go.
  hold(holding = true) {
    this.#held?.release();
    this.#held = undefined;
    if (!holding) return;
    let release;
    const released = new Promise((resolve) => (release = resolve));
    this.#held = { released, release };
  }

  // What is held is lost with its connections.
  lose() {
    this.cut();
    this.hold(false);
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
