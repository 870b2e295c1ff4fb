// A load of users who send continuously, and a record of all answers.
import assert from 'node:assert/strict';
import { message, send } from './http.mjs';

export class Load {
  acknowledged = new Map(); // txn_id → envelope text
  unacknowledged = []; // {user, body, status, code} of refused messages, and of those without an answer (status 0)
  #stopping = false;
  #workers;

  // `urls` are the sidecars, which are used in turn.
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
      this.unacknowledged.push({ ...attempt, status: 0, code: error.code ?? error.message });
      return;
    }
    if (answer.status === 200) {
      assert(!this.acknowledged.has(attempt.body.txn_id));
      this.acknowledged.set(attempt.body.txn_id, answer.text);
    } else {
      this.unacknowledged.push({ ...attempt, status: answer.status, code: answer.json.code });
    }
  }

  // Resolves when each request under way has its answer.
  async stop() {
    this.#stopping = true;
    await Promise.all(this.#workers);
  }

  // Sends the unacknowledged messages again, with the same txn_ids, until all are acknowledged. To be called after stop().
  async resend(url, attempts = 20) {
    for (let round = 0; this.unacknowledged.length > 0; round++) {
      assert(round < attempts, `still unacknowledged: ${JSON.stringify(this.unacknowledged.slice(0, 3))}`);
      await Promise.all(this.unacknowledged.splice(0).map((attempt) => this.#try(url, attempt)));
    }
  }

  get codes() {
    return new Set(this.unacknowledged.map(({ status, code }) => `${status} ${code}`));
  }
}
