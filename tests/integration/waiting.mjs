// Waits for conditions instead of fixed times.
import { setTimeout as pause } from 'node:timers/promises';

// Resolves with the first truthy value of `condition`. Rejects after `limit` ms with `what` and the last error.
export async function until(what, condition, limit = 15_000) {
  const deadline = Date.now() + limit;
  for (;;) {
    let problem;
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      problem = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`, { cause: problem });
    await pause(20);
  }
}

// Settles as `promise` does, or rejects with `what` after `limit` ms.
export async function within(what, promise, limit = 15_000) {
  const stop = new AbortController();
  const late = pause(limit, null, { signal: stop.signal }).then(
    () => {
      throw new Error(`not within ${limit} ms: ${what}`);
    },
    () => {},
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}
