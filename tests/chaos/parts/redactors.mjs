// Moderators and senders who redact messages through both sidecars, and readers who come later: they open an event stream, or
// read the history, and leave again.
import { setTimeout as pause } from 'node:timers/promises';
import { Subscriber, request } from '../../integration/http.mjs';

const REDACT_PAUSE_MS = 300; // a user may make 5 calls per second
const JOIN_PAUSE_MS = 300;
const STAY_MS = 700;
const TIMEOUT_MS = 5000;
const PAGE = 200;

export class Redactors {
  calls = []; // `redactions`, in the form of checker.mjs
  late = []; // in the form of checker.mjs
  #stopping = false;
  #loops = [];

  static async create(stack, rooms, urls) {
    const redactors = Object.assign(new Redactors(), { stack, rooms, urls, moderator: stack.user() });
    for (const room of rooms) await stack.grant(room, redactors.moderator, 'moderator');
    return redactors;
  }

  // `clients` has the accepted messages and the source of random numbers; `regulars` send many messages.
  start(clients, regulars) {
    Object.assign(this, { clients, regulars });
    this.#loops = [...this.urls.map((url) => this.#redact(url)), ...this.urls.flatMap((url) => [this.#join(url), this.#read(url)])];
  }

  async #redact(url) {
    while (!this.#stopping) {
      const { random, accepted } = this.clients;
      await pause(REDACT_PAUSE_MS);
      if (accepted.length === 0) continue;
      const { streamId, user, txnId } = accepted[random.below(accepted.length)];
      const call = { streamId, sender: user.id, txnId, kind: 'moderator' };
      if (random.chance(0.1)) Object.assign(call, { kind: 'purge', sender: this.regulars[random.below(this.regulars.length)].id, txnId: undefined });
      else if (random.chance(0.3)) call.kind = 'own';
      await this.#call(url, call, call.kind === 'own' ? user : this.moderator);
    }
  }

  async #call(url, call, { headers }) {
    Object.assign(call, { url, began: performance.now() });
    this.calls.push(call);
    const purges = call.kind === 'purge';
    const body = { stream_id: call.streamId, ...(purges ? { user_id: call.sender } : { txn_id: call.txnId, sender_id: call.sender }) };
    try {
      const answer = await request(`${url}/rpc/${purges ? 'redact_messages' : 'redact_message'}`, { method: 'POST', headers, body, timeout: TIMEOUT_MS });
      Object.assign(call, { status: answer.status, result: answer.status === 200 ? answer.json : undefined, code: answer.status < 400 ? undefined : answer.json.code });
    } catch (error) {
      Object.assign(call, { status: 0, code: error.code ?? error.message });
    }
    call.ended = performance.now();
  }

  // Opens an event stream that begins somewhere in the past, and leaves.
  async #join(url) {
    for (let i = 0; !this.#stopping; i++) {
      await pause(JOIN_PAUSE_MS);
      const streamId = this.rooms[i % this.rooms.length];
      const read = { path: 'event stream', url, streamId, began: performance.now(), frames: [] };
      try {
        const lastEventId = Math.max(0, (this.newest?.[streamId] ?? 0) - this.clients.random.below(500));
        const subscriber = await Subscriber.to(url, streamId, { lastEventId });
        await pause(STAY_MS);
        subscriber.close();
        read.frames = subscriber.frames.map(({ offset, envelope }) => ({ offset, text: JSON.stringify(envelope) }));
      } catch {
        continue; // the sidecar refused, or did not answer
      }
      this.#note(read);
    }
  }

  async #read(url) {
    for (let i = 0; !this.#stopping; i++) {
      await pause(JOIN_PAUSE_MS);
      const streamId = this.rooms[i % this.rooms.length];
      const read = { path: 'history', url, streamId, began: performance.now(), frames: [] };
      const after = Math.max(0, (this.newest?.[streamId] ?? 0) - this.clients.random.below(500));
      const answer = await request(`${url}/streams/${streamId}/messages?after=${after}&limit=${PAGE}`, { timeout: TIMEOUT_MS }).catch(() => ({ status: 0 }));
      if (answer.status !== 200) continue;
      read.frames = answer.json.messages.map(({ offset, envelope }) => ({ offset, text: JSON.stringify(envelope) }));
      this.#note(read);
    }
  }

  #note(read) {
    read.ended = performance.now();
    this.newest = { ...this.newest, [read.streamId]: Math.max(this.newest?.[read.streamId] ?? 0, read.frames.at(-1)?.offset ?? 0) };
    this.late.push(read);
  }

  // Returns when each open call has its answer.
  async stop() {
    this.#stopping = true;
    await Promise.all(this.#loops);
  }
}
