// Who is sampled in a chat storm, as the server decides it: ../docs/sampling.md.
import { failure } from './errors.js';

const NIL = '00000000-0000-0000-0000-000000000000';

// 0 to 99, the same for a user in a stream for ever.
export async function samplingBucket(userId, streamId) {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) throw failure('no_webcrypto', 'crypto.subtle is missing: the page needs HTTPS, or Node.js 20');
  const ids = new TextEncoder().encode(`${userId}${streamId}`.toLowerCase());
  const digest = new DataView(await subtle.digest('SHA-256', ids));
  return Number(digest.getBigUint64(0) % 100n);
}

// Whether the user is among the `rate` percent whose messages everybody gets.
export async function isSampled(userId, streamId, rate) {
  return (await samplingBucket(userId, streamId)) < rate;
}

// 0 or 1: always sent; 2: sampled. `type` is what message_types has of the envelope's type.
export function tierOf({ s, d }, { tier = 2, tier0_amount = null, states_role = true } = {}) {
  if (s === NIL) return 0;
  if (tier0_amount !== null && typeof d.amount === 'number' && d.amount >= tier0_amount) return 0;
  return states_role && typeof d.user_role === 'string' ? Math.min(tier, 1) : tier;
}
