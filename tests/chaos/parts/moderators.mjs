// Owners of a room who keep muting and unmuting the same user through all sidecars. While the fault lasts, the
// transaction of another moderator holds the rows that they need.
import { setTimeout as pause } from 'node:timers/promises';
import { request } from '../../integration/http.mjs';
import { until } from '../../integration/waiting.mjs';

const OWNERS = 8; // each may make 5 calls per second
const CALLS_AT_ONCE = 16; // per sidecar: calls that wait would hold up anything that has to wait for them
const PAUSE_MS = 1000;
const TIMEOUT_MS = 15_000; // a call waits for a connection, and then for the rows

export class Moderators {
  calls = []; // in the form of checker.mjs
  #stopping = false;
  #loops = [];

  static async create(stack, room, urls) {
    const moderators = Object.assign(new Moderators(), { stack, room, urls, user: stack.user() });
    moderators.owners = Array.from({ length: OWNERS }, () => stack.user());
    for (const owner of moderators.owners) await stack.grant(room, owner, 'owner');
    return moderators;
  }

  start() {
    this.#loops = this.urls.flatMap((url) => Array.from({ length: CALLS_AT_ONCE }, () => this.#work(url)));
  }

  async #work(url) {
    while (!this.#stopping) {
      await this.call(url, this.calls.length % 2 === 0 ? 'mute' : 'unmute');
      await pause(PAUSE_MS);
    }
  }

  async call(url, name) {
    const { headers } = this.owners[this.calls.length % OWNERS];
    const call = { url, name, began: performance.now() };
    this.calls.push(call);
    try {
      const body = { stream_id: this.room, user_id: this.user.id };
      const answer = await request(`${url}/rpc/${name}`, { method: 'POST', headers, body, timeout: TIMEOUT_MS });
      Object.assign(call, { status: answer.status, code: answer.status < 400 ? undefined : answer.json.code });
    } catch (error) {
      Object.assign(call, { status: 0, code: error.code ?? error.message });
    }
    call.ended = performance.now();
    return call;
  }

  // Returns when each open call has its answer.
  async stop() {
    this.#stopping = true;
    await Promise.all(this.#loops);
  }

  async inject() {
    const client = await until('a moderator has a transaction', () => this.#hold(), 60_000);
    return async () => {
      await client.query('commit').catch(() => {}); // another fault may have ended the connection
      await client.end().catch(() => {});
    };
  }

  async #hold() {
    const client = await this.stack.connect();
    try {
      await client.query('begin');
      await client.query('select sealcast.ban($1, $2)', [this.room, this.user.id]);
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
  }
}
