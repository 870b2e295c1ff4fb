// Viewers of a stream: they send heartbeats.
import assert from 'node:assert/strict';
import net from 'node:net';
import { rawRequest, request } from './http.mjs';

export function heartbeat(url, streamId, viewerId, { headers, query = '' } = {}) {
  const body = viewerId === undefined ? undefined : { viewer_id: viewerId };
  return request(`${url}/streams/${streamId}/heartbeat${query}`, { method: 'POST', headers, body });
}

// Sends heartbeats of as many viewers, again and again, until it is stopped.
export class Crowd {
  static #all = new Set();
  refused = 0;
  #running = true;
  #ended;

  constructor(url, streamId, viewers) {
    Object.assign(this, { url, streamId, viewers });
    Crowd.#all.add(this);
    this.#ended = this.#run();
  }

  async #run() {
    while (this.#running) {
      const beats = Array.from({ length: this.viewers }, (_, i) =>
        heartbeat(this.url, this.streamId, `viewer ${i}`).then(({ status }) => status, () => 0),
      );
      const statuses = await Promise.all(beats);
      this.refused += statuses.filter((status) => status !== 204).length;
      await new Promise((resolve) => setTimeout(resolve, 100)); // as viewers do
    }
  }

  async leave() {
    this.#running = false;
    await this.#ended;
  }

  // Of a test that failed, too: its file is to end.
  static async disperse() {
    for (const crowd of Crowd.#all) await crowd.leave();
  }
}

// Heartbeats of many viewers, pipelined on few connections; of the answers only their number and status are looked at.
export async function beatAtOnce(url, streamId, viewers) {
  const [connections, atOnce] = [32, 64];
  const { hostname, port } = new URL(url);
  const beat = (n) => rawRequest(`/streams/${streamId}/heartbeat`, {}, `{"viewer_id":"viewer ${n}"}`);
  const one = async (first) => {
    const socket = net.connect(Number(port), hostname).setEncoding('latin1');
    const texts = socket[Symbol.asyncIterator]();
    let unread = '';
    for (let n = first; n < viewers; n += connections * atOnce) {
      const names = Array.from({ length: atOnce }, (_, i) => n + i * connections).filter((name) => name < viewers);
      socket.write(names.map(beat).join(''));
      let heads = [];
      while (heads.length <= names.length) {
        const { value: text, done } = await texts.next();
        assert.ok(!done, 'the connection ended before all were answered');
        unread += text;
        heads = unread.split('\r\n\r\n');
      }
      unread = heads.pop();
      assert.ok(heads.every((head) => head.startsWith('HTTP/1.1 204 ')), heads.find((head) => !head.startsWith('HTTP/1.1 204 ')));
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, (_, c) => one(c)));
}
