// Decides which messages the public channel carries in a chat storm, as the server does: ../docs/sampling.md.
import { hashNumber } from './hash.js';
import { SYSTEM_SENDER } from './system_messages.js';

// Resolves with 0 to 99. The same user always has the same bucket in a stream.
export async function samplingBucket(userId, streamId) {
  return Number((await hashNumber(`${userId}${streamId}`.toLowerCase())) % 100n);
}

// Whether the user is among the `rate` percent of users whose messages the public channel carries.
export async function isSampled(userId, streamId, rate) {
  return (await samplingBucket(userId, streamId)) < rate;
}

// Tiers 0 and 1 are always carried, tier 2 is sampled. `type` is the row of message_types for the envelope's type.
export function tierOf({ s, d }, { tier = 2, tier0_amount = null, states_role = true } = {}) {
  if (s === SYSTEM_SENDER) return 0;
  if (tier0_amount !== null && typeof d.amount === 'number' && d.amount >= tier0_amount) return 0;
  return states_role && typeof d.user_role === 'string' ? Math.min(tier, 1) : tier;
}
