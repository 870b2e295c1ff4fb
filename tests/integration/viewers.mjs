// Simulated viewers of a stream, which send heartbeats.
import assert from 'node:assert/strict';
import net from 'node:net';
import { rawRequest, request } from './http.mjs';

export function heartbeat(url, streamId, viewerId, { headers, query = '' } = {}) {
  const body = viewerId === undefined ? undefined : { viewer_id: viewerId };
  return request(`${url}/streams/${streamId}/heartbeat${query}`, { method: 'POST', headers, body });
}

// Sends the heartbeats of `count` viewers repeatedly until stop(). `count` and `url` may be changed at any time. The first viewer
// may be a `user`, who follows the stream; the others have no session.
export class Viewers {
  static #all = new Set();
  refused = 0;
  #running = true;
  #ended;

  constructor(url, streamId, count, { user } = {}) {
    Object.assign(this, { url, streamId, count, headers: user?.headers });
    Viewers.#all.add(this);
    this.#ended = this.#run();
  }

  async #run() {
    while (this.#running) {
      const beats = Array.from({ length: this.count }, (_, i) =>
        heartbeat(this.url, this.streamId, `viewer ${i}`, { headers: i === 0 ? this.headers : undefined }).then(({ status }) => status, () => 0),
      );
      const statuses = await Promise.all(beats);
      this.refused += statuses.filter((status) => status !== 204).length;
      await new Promise((resolve) => setTimeout(resolve, 100)); // the pause between heartbeats
    }
  }

  async stop() {
    this.#running = false;
    await this.#ended;
  }

  // Stops the viewers of all tests, also of failed ones, so that the test file can end.
  static async stopAll() {
    for (const viewers of Viewers.#all) await viewers.stop();
  }
}

// Sends one heartbeat for each of many viewers, pipelined on few connections. Checks only the number and status of the answers.
export async function beatAtOnce(url, streamId, viewers) {
  const [connections, atOnce] = [32, 64];
  const { hostname, port } = new URL(url);
  const beat = (n) => rawRequest(`/streams/${streamId}/heartbeat`, { 'content-type': 'application/json' }, `{"viewer_id":"viewer ${n}"}`);
  const sendSome = async (first) => {
    const socket = net.connect(Number(port), hostname).setEncoding('latin1');
    const texts = socket[Symbol.asyncIterator]();
    let unread = '';
    for (let n = first; n < viewers; n += connections * atOnce) {
      const names = Array.from({ length: atOnce }, (_, i) => n + i * connections).filter((name) => name < viewers);
      socket.write(names.map(beat).join(''));
      let heads = [];
      while (heads.length <= names.length) {
        const { value: text, done } = await texts.next();
        assert.ok(!done, 'the connection ended before every heartbeat was answered');
        unread += text;
        heads = unread.split('\r\n\r\n');
      }
      unread = heads.pop();
      assert.ok(heads.every((head) => head.startsWith('HTTP/1.1 204 ')), heads.find((head) => !head.startsWith('HTTP/1.1 204 ')));
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, (_, c) => sendSome(c)));
}
