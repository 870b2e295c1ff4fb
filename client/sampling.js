// Who is sampled in a chat storm, as the server decides it: ../docs/sampling.md.
import { hashNumber } from './hash.js';

const NIL = '00000000-0000-0000-0000-000000000000';

// 0 to 99, the same for a user in a stream for ever.
export async function samplingBucket(userId, streamId) {
  return Number((await hashNumber(`${userId}${streamId}`.toLowerCase())) % 100n);
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
