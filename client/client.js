// createClient(): sends messages, verifies envelopes, reads the history, gets tickets and opens subscriptions.
import { backoff, pause } from './backoff.js';
import { SealcastError } from './errors.js';
import { sse } from './drivers/sse.js';
import { parseFrame } from './frame.js';
import { hexOf } from './hash.js';
import { Http } from './http.js';
import { PublicKeys } from './public_keys.js';
import { Subscription } from './subscription.js';
import { verifyEnvelope } from './verify_envelope.js';

export function createClient({ transports = [sse()], retry = {}, publicKeys, ...connection }) {
  const http = new Http(connection);
  const readKeys = ({ fresh }) =>
    http.json('GET', '/.well-known/sealcast-keys', { session: false, cache: fresh ? 'no-store' : undefined });
  const keys = new PublicKeys(readKeys, publicKeys);
  const drivers = new Map(transports.map((driver) => [driver.name, driver]));
  const ownMessages = new Map(); // stream id → the OwnMessages of each subscription

  // A retry sends the same txn_id. That is safe, since the server inserts a txn_id once (docs/delivery.md).
  async function sendMessage(streamId, type, d, { txnId = uuid(), signal, giveUpAfterMs = 60_000 } = {}) {
    const body = JSON.stringify({ stream_id: streamId, t: type, d, txn_id: txnId });
    const deadline = Date.now() + giveUpAfterMs;
    const readers = ownMessages.get(streamId.toLowerCase()) ?? [];
    for (const reader of readers) reader.sent(txnId);
    for (let attempt = 0; ; attempt++) {
      try {
        const envelope = await http.json('POST', '/rpc/send_message', { body, streamId, signal });
        for (const reader of readers) reader.sealed(envelope);
        return envelope;
      } catch (error) {
        if (!(error instanceof SealcastError)) throw error;
        error.txnId = txnId;
        const wait = backoff(attempt, retry, error.retryAfterMs);
        if (!error.retryable || Date.now() + wait > deadline) throw error;
        await pause(wait, signal);
      }
    }
  }

  async function messages(streamId, { after, before, limit, channel, signal } = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ after, before, limit, channel })) {
      if (value !== undefined) query.set(name, value);
    }
    const page = await http.json('GET', `/streams/${encodeURIComponent(streamId)}/messages?${query}`, { streamId, signal });
    return { ...page, messages: page.messages.map(parseFrame) };
  }

  async function verify(envelope, { by = 'server', signal } = {}) {
    if (by === 'keys') return verifyEnvelope(envelope, keys);
    if (by !== 'server') throw new TypeError(`"by" must be "server" or "keys", not ${by}`);
    const body = typeof envelope === 'string' ? envelope : JSON.stringify(envelope);
    return (await http.json('POST', '/rpc/verify', { body, session: false, signal })).result;
  }

  async function ticket(streamId, { signal } = {}) {
    return http.json('POST', `/streams/${encodeURIComponent(streamId)}/token`, { streamId, signal });
  }

  function subscribeStreamEvents(streamId, handler, options = {}) {
    return new Subscription({ http, drivers, messages, ticket, verify, ownMessages }, streamId, handler, options);
  }

  return {
    sendMessage,
    messages,
    verify,
    ticket,
    subscribeStreamEvents,
    get region() {
      return http.region;
    },
  };
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
