// A TCP proxy in front of a service. A test can make it cut connections, delay bytes and hold them back.
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export class Proxy {
  opened = 0;
  answered = 0; // bytes
  spent = 0; // how often the limit of cutAfter() was reached
  #sockets = new Set();
  #budget = Infinity;
  #frozen = false;
  #refusing = false;
  #delay = 0;
  #held; // {released, release} while bytes are held back
  #server;

  // `url` is the service's. The proxy's own `url` differs only in host and port. With `path` the service is a Unix socket.
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

  // Keeps the order within one direction of a connection: runs one action after the other, each after delay() and hold().
  #inOrder() {
    let last;
    return (action) => {
      if (!last && this.#delay === 0 && !this.#held) return action();
      const current = Promise.all([last, this.#held?.released, pause(this.#delay)]).then(() => {
        action();
        if (last === current) last = undefined;
      });
      last = current;
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

  // Cuts all open connections now.
  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  // Cuts all connections after the service has answered this many more bytes; 0 = instead of the next answer.
  cutAfter(bytes) {
    this.#budget = bytes;
  }

  // Keeps connections open, but drops all bytes from the service.
  freeze(frozen = true) {
    this.#frozen = frozen;
  }

  // Delays all bytes by this many ms.
  delay(ms) {
    this.#delay = ms;
  }

  // Holds all bytes back; hold(false) sends them on.
  hold(holding = true) {
    this.#held?.release();
    this.#held = undefined;
    if (!holding) return;
    let release;
    const released = new Promise((resolve) => (release = resolve));
    this.#held = { released, release };
  }

  // Drops the held bytes together with their connections.
  lose() {
    this.cut();
    this.hold(false);
  }

  // Refuses connections, and cuts the open ones.
  refuse(refusing = true) {
    this.#refusing = refusing;
    if (refusing) this.cut();
  }

  async close() {
    this.#server.close();
    this.cut();
  }
}
