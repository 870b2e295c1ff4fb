// Users who never stop sending, and remember each answer they got.
import assert from 'node:assert/strict';
import { message, send } from './http.mjs';

export class Load {
  acknowledged = new Map(); // txn_id → envelope text
  unsettled = []; // {user, body, status, code}: refused, or without an answer (status 0)
  #stopping = false;
  #workers;

  // `urls`: the sidecars, in turn.
  constructor(stack, room, urls, { workers = 16, type = 'chat' } = {}) {
    this.#workers = Array.from({ length: workers }, async (_, worker) => {
      for (let i = worker; !this.#stopping; i++) {
        const attempt = { user: stack.user(), body: message(room, `worker ${worker}, message ${i}`, { t: type }) };
        await this.#try(urls[i % urls.length], attempt);
      }
    });
  }

  async #try(url, attempt) {
    let answer;
    try {
      answer = await send(url, attempt.user, attempt.body);
    } catch (error) {
      this.unsettled.push({ ...attempt, status: 0, code: error.code ?? error.message });
      return;
    }
    if (answer.status === 200) {
      assert(!this.acknowledged.has(attempt.body.txn_id));
      this.acknowledged.set(attempt.body.txn_id, answer.text);
    } else {
      this.unsettled.push({ ...attempt, status: answer.status, code: answer.json.code });
    }
  }

  // Ends when each request under way has got its answer.
  async stop() {
    this.#stopping = true;
    await Promise.all(this.#workers);
  }

  // Sends what is unsettled again, with the same txn_ids, until everything is acknowledged. Call after stop().
  async settle(url, attempts = 20) {
    for (let round = 0; this.unsettled.length > 0; round++) {
      assert(round < attempts, `still unsettled: ${JSON.stringify(this.unsettled.slice(0, 3))}`);
      await Promise.all(this.unsettled.splice(0).map((attempt) => this.#try(url, attempt)));
    }
  }

  get codes() {
    return new Set(this.unsettled.map(({ status, code }) => `${status} ${code}`));
  }
}
