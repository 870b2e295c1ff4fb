// Sends messages. A message is repeated under its txn_id until its answer is final, which is safe, since the server inserts
// a txn_id once (../docs/delivery.md). Messages to one stream are sent one after the other, so they keep their order.
import { backoff, pauseUntilWake } from './backoff.js';
import { isHeld, SENT } from './answers.js';
import { failure, SealcastError } from './errors.js';
import { hexOf } from './hash.js';
import { onAbort } from './on_abort.js';
import { startTimer } from './timers.js';

// The app shows such a refusal: a silent wait would hold up the stream's other messages, and then send what the rules refuse.
const FOR_PEOPLE = new Set(['slow_mode', 'text_repeated', 'text_copied']);

export class Sender {
  #http;
  #retry;
  #deliveries;
  #queues;

  // `deliveries`: stream id → the Delivery of each subscription. `maxQueued`: unanswered messages of one stream.
  constructor(http, { retry, maxQueued, deliveries }) {
    this.#http = http;
    this.#retry = retry;
    this.#deliveries = deliveries;
    this.#queues = new SendQueues(maxQueued);
  }

  async send(streamId, type, d, { txnId = uuid(), signal, giveUpAfterMs = 60_000 } = {}) {
    const body = JSON.stringify({ stream_id: streamId, t: type, d, txn_id: txnId });
    const deadline = Date.now() + giveUpAfterMs;
    try {
      const attempts = () => this.#attempt(streamId, txnId, body, { signal, deadline });
      return await this.#queues.run(streamId.toLowerCase(), attempts, { signal, giveUpAfterMs });
    } catch (error) {
      if (error instanceof SealcastError) error.txnId = txnId;
      throw error;
    }
  }

  async #attempt(streamId, txnId, body, { signal, deadline }) {
    const readers = this.#deliveries.get(streamId.toLowerCase()) ?? [];
    for (const reader of readers) reader.sent(txnId);
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#http.json('POST', '/rpc/send_message', { answer: SENT, body, streamId, signal });
        // A held message gets a frame if it is approved, and perhaps never.
        if (!isHeld(answer)) for (const reader of readers) reader.sealed(answer);
        return answer;
      } catch (error) {
        if (!(error instanceof SealcastError) || !error.retryable || FOR_PEOPLE.has(error.code)) throw error;
        const wait = backoff(attempt, this.#retry, error.retryAfterMs);
        if (Date.now() + wait > deadline) throw error;
        await pauseUntilWake(wait, error.retryAfterMs ?? 0, signal);
      }
    }
  }
}

// A queue for each stream, so that a slow stream does not hold up another.
class SendQueues {
  #queues = new Map(); // stream id → {length, last}; last: resolves when the newest message is done
  #maxLength;

  constructor(maxLength) {
    this.#maxLength = maxLength;
  }

  // Calls send() when the earlier messages of the stream are done, however they ended, and settles as it does.
  async run(streamId, send, { signal, giveUpAfterMs }) {
    const queue = this.#queues.get(streamId) ?? { length: 0, last: null };
    if (queue.length >= this.#maxLength) {
      const advice = 'await them, or raise maxQueued of createClient()';
      throw failure('queue_full', `${queue.length} messages to the stream ${streamId} have no answer yet; ${advice}`);
    }
    const turn = queue.last;
    let done;
    queue.last = new Promise((resolve) => (done = resolve));
    queue.length++;
    this.#queues.set(streamId, queue);
    try {
      if (turn) await untilTurn(turn, giveUpAfterMs, signal);
      return await send();
    } finally {
      // A message that gives up in the queue does not let the next one pass the earlier ones.
      if (turn) turn.then(done);
      else done();
      if (--queue.length === 0) this.#queues.delete(streamId);
    }
  }
}

// Rejects when the signal is aborted first, or when the time is over.
function untilTurn(turn, giveUpAfterMs, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stopListening = onAbort(signal, () => reject(signal.reason));
    const late = `the message was not sent: it waited ${giveUpAfterMs} ms for earlier messages to its stream`;
    const stopTimer = startTimer(giveUpAfterMs, () => reject(failure('not_sent', late)));
    turn.then(() => {
      stopTimer();
      stopListening();
      resolve();
    });
  });
}

// Used instead of crypto.randomUUID(), which is missing on pages without TLS. Node.js 18 has no global crypto at all. A
// txn_id must be unique for its sender, but need not be secret, so Math.random() is good enough there.
function uuid() {
  const bytes = new Uint8Array(16).map(() => Math.random() * 256);
  globalThis.crypto?.getRandomValues(bytes);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return hexOf(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
