// Sends messages through both sidecars, retries undecided messages, sends messages that must be refused, reads the
// history, and records each answer.
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { random } from '../client/random.mjs';
import { request } from '../integration/http.mjs';

const WORKERS = 16;
const TIMEOUT_MS = 3000;
const READ_PAUSE_MS = 50;
const BACK_OFF_MS = 50; // after no answer, 429 or 503; real clients wait longer
const DECIDED = (status) => status === 200 || (status >= 400 && status < 500 && status !== 429);

export class Clients {
  attempts = []; // in the form of checker.mjs
  reads = [];
  undecided = [];
  #stopping = false;
  #workers;

  constructor({ stack, rooms, regulars, urls }, seed) {
    Object.assign(this, { stack, rooms, regulars, urls });
    this.random = random(seed);
    this.accepted = [];
    this.muted = Array.from({ length: 20 }, () => stack.user());
  }

  async start() {
    for (const { id } of this.muted) {
      await this.stack.query("insert into sealcast.restrictions (user_id, kind) values ($1, 'mute')", [id]);
    }
    this.#workers = [...Array.from({ length: WORKERS }, () => this.#work()), ...this.urls.map((url) => this.#read(url))];
  }

  async #work() {
    while (!this.#stopping) {
      const { random } = this;
      if (this.undecided.length > 0 && random.chance(0.2)) await this.#retry();
      else if (random.chance(0.04)) await this.#sendRefused();
      else if (this.accepted.length > 0 && random.chance(0.04)) await this.#sendAcceptedAgain();
      else if (random.chance(0.03)) await this.#sendToAllAtOnce();
      else if (random.chance(0.02)) await this.#send(this.#message({ user: this.regulars[random.below(this.regulars.length)] }));
      else await this.#send(this.#message());
    }
  }

  // Reads the newest page of each room in turn.
  async #read(url) {
    for (let i = 0; !this.#stopping; i++) {
      const read = { url, began: performance.now() };
      const answer = await request(`${url}/streams/${this.rooms[i % this.rooms.length]}/messages?limit=20`, { timeout: TIMEOUT_MS }).catch(() => ({ status: 0 }));
      this.reads.push({ ...read, status: answer.status, ended: performance.now() });
      await pause(READ_PAUSE_MS);
    }
  }

  #url() {
    return this.urls[this.random.below(this.urls.length)];
  }

  #message(rest = {}) {
    const streamId = this.rooms[this.random.below(this.rooms.length)];
    return { user: this.stack.user(), txnId: randomUUID(), streamId, t: 'chat', content: `message ${this.attempts.length}`, ...rest };
  }

  async #send(message, url = message.url ?? this.#url()) {
    const { user, txnId, streamId, t, content, token = user.token() } = message;
    const attempt = { sender: user.id, txnId, streamId, content, url, began: performance.now() };
    try {
      const answer = await request(`${url}/rpc/send_message`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: { stream_id: streamId, t, d: { content }, txn_id: txnId },
        timeout: TIMEOUT_MS,
      });
      attempt.status = answer.status;
      attempt.replayed = answer.headers['idempotency-replayed'] === 'true';
      if (answer.status === 200) attempt.text = answer.text;
      else attempt.code = answer.json.code;
    } catch (error) {
      Object.assign(attempt, { status: 0, code: error.code ?? error.message });
    }
    attempt.ended = performance.now();
    this.attempts.push(attempt);
    if (attempt.status === 200) this.accepted.push(message);
    if (DECIDED(attempt.status)) return;
    this.undecided.push(message);
    if (!this.#stopping) await pause(BACK_OFF_MS);
  }

  async #retry() {
    await this.#send(this.undecided.splice(this.random.below(this.undecided.length), 1)[0]);
  }

  // Sends an accepted message again, unchanged or with other content.
  async #sendAcceptedAgain() {
    const message = this.accepted[this.random.below(this.accepted.length)];
    await this.#send(this.random.chance(0.5) ? message : { ...message, content: `not ${message.content}` });
  }

  // Sends one message to all sidecars at the same time.
  async #sendToAllAtOnce() {
    const message = this.#message();
    await Promise.all(this.urls.map((url) => this.#send(message, url)));
  }

  // Sends a message that must be refused.
  async #sendRefused() {
    const user = this.stack.user();
    const kinds = [
      { user: this.muted[this.random.below(this.muted.length)] },
      { streamId: randomUUID() },
      { t: 'no_such_type' },
      { content: 'x'.repeat(20_000) },
      { user, token: user.token({}, { secret: 'the secret of another service, 32 bytes' }) },
    ];
    await this.#send(this.#message(kinds[this.random.below(kinds.length)]));
  }

  // Returns when each open request has its answer.
  async stop() {
    this.#stopping = true;
    await Promise.all(this.#workers);
  }

  // Retries the undecided messages until all are decided, at most `rounds` times. Call it after stop(), without faults.
  async retryUndecided(rounds = 100) {
    for (; rounds > 0 && this.undecided.length > 0; rounds--) {
      const all = this.undecided.splice(0);
      while (all.length > 0) await Promise.all(all.splice(0, 64).map((message) => this.#send(message)));
      if (this.undecided.length > 0) await pause(BACK_OFF_MS);
    }
  }

  // Sends one message to each room through each sidecar.
  async sendToEveryRoom() {
    await Promise.all(this.urls.flatMap((url) => this.rooms.map((streamId) => this.#send(this.#message({ streamId, url })))));
    await this.retryUndecided();
  }
}
