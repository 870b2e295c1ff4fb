// Reads the state of a stream, and keeps apart what is new and what is old of the messages that tell what holds in the
// stream: frames and the state may come in any order.
import { pauseBeforeRetry } from './backoff.js';
import { SealcastError } from './errors.js';
import { isSystemMessage } from './system_messages.js';

// Each holds until the next one of its type.
const CONDITIONS = ['transport_migrate', 'sampling_update'];

// Requests the state of a stream. An older sidecar has no such route, but the newest offset.
export async function stateOf(client, streamId, options) {
  try {
    return await client.state(streamId, options);
  } catch (error) {
    if (error.code !== 'not_found') throw error;
    return { ...(await client.history(streamId, { limit: 1, ...options })), messages: [] };
  }
}

export class StreamState {
  #source;
  #newest = new Map(); // type → the offset of the newest message of CONDITIONS

  // source: {state(), reconnect, signal}; state() requests {messages, last, epoch}.
  constructor(source) {
    this.#source = source;
  }

  // Resolves with the state, or with null when it is no longer needed. failed(error) is called when it cannot be read.
  async read({ isNeedless, failed }) {
    const { state, reconnect, signal } = this.#source;
    for (let attempt = 0; !signal.aborted && !isNeedless(); attempt++) {
      try {
        return await state();
      } catch (error) {
        if (!signal.aborted) failed(error);
        await pauseBeforeRetry(attempt, reconnect, error.retryAfterMs, signal);
      }
    }
    return null;
  }

  // Resolves with the retained messages up to this offset, and with none when the server refuses.
  async upTo(offset, failed) {
    if (offset < 1) return [];
    let refused = false;
    const note = (error) => {
      refused = error instanceof SealcastError && !error.retryable;
      failed(error);
    };
    const state = await this.read({ isNeedless: () => refused, failed: note });
    return (state?.messages ?? []).filter((frame) => frame.offset <= offset);
  }

  // Returns whether the frame is the newest that tells what holds in the stream. To be called when it has its turn.
  isNews({ offset, envelope }) {
    const { t } = envelope;
    if (!CONDITIONS.some((type) => isSystemMessage(envelope, type)) || offset <= (this.#newest.get(t) ?? 0)) return false;
    this.#newest.set(t, offset);
    return true;
  }

  // To be called when the stream was rewound: offsets from before say nothing.
  rewound() {
    this.#newest.clear();
  }
}
