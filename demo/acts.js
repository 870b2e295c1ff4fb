// What moderators do to a user from the room: a time-out that also deletes the messages of that time, and a ban.
import { clockOf } from './texts.js';

const TIME_OUT_MS = 600_000;

// The server takes 5 calls per second and user. A call above that waits.
export async function patiently(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.code !== 'rate_limited' || error.retryAfterMs > 2000) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs ?? 1000));
    }
  }
}

// Both resolve with {text, undo}: what happened, and how to undo it.
export async function timeOut({ client }, streamId, userId, name) {
  const until = Date.now() + TIME_OUT_MS;
  const how = { until, purgeMs: TIME_OUT_MS, reason: 'timed out by a moderator' };
  await patiently(() => client.mute(streamId, userId, how));
  const text = `${name} is timed out until ${clockOf(until)}, messages deleted.`;
  return { text, undo: () => patiently(() => client.unmute(streamId, userId)) };
}

export async function ban({ client }, streamId, userId, name) {
  await patiently(() => client.ban(streamId, userId, { reason: 'banned by a moderator' }));
  return { text: `${name} is banned.`, undo: () => patiently(() => client.unban(streamId, userId)) };
}
