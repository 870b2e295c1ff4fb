// Readers at one sidecar, from an address of their own. While the fault lasts, packets to this address are dropped, so
// the connections end without FIN and RST. It needs the network namespace of namespace.sh.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { promisify } from 'node:util';
import { rawRequest } from '../../integration/http.mjs';
import { until, within } from '../../integration/waiting.mjs';

const run = promisify(execFile);
const CONNECT_LIMIT_MS = 3000; // another fault may keep the sidecar from answering

export class GoneReaders {
  static COUNT = 200;

  // `listen` is the sidecar's host:port. `subscribers` resolves with the sidecar's number of open event streams.
  constructor(address, listen, rooms, subscribers) {
    Object.assign(this, { address, listen, rooms, subscribers });
  }

  async inject() {
    const [host, port] = this.listen.split(':');
    const sockets = Array.from({ length: GoneReaders.COUNT }, (_, i) => {
      const socket = net.connect({ host, port: Number(port), localAddress: this.address }).on('error', () => {});
      socket.write(rawRequest(`/streams/${this.rooms[i % this.rooms.length]}/events`, { 'content-length': undefined }, '', 'GET'));
      return socket;
    });
    const answered = Promise.all(sockets.map((socket) => once(socket, 'data').catch(() => {})));
    await within('the readers have their event streams', answered, CONNECT_LIMIT_MS).catch(() => {});
    await this.#route('add');
    return async () => {
      try {
        // The readers of the run follow one stream per room.
        await until('the sidecar has given up the readers that have gone', async () => (await this.subscribers()) <= this.rooms.length, 60_000);
      } finally {
        await this.#route('delete');
        for (const socket of sockets) socket.destroy();
      }
    };
  }

  #route(action) {
    return run('ip', ['route', action, 'blackhole', `${this.address}/32`, 'table', 'local']);
  }
}
