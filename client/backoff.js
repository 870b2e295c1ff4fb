// Calculates the pause before a retry: exponential backoff with full jitter, and never shorter than the server asked for.
// A random spread of up to half a second comes on top, so that clients that failed at the same moment do not retry at the
// same moment.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

const DEFAULTS = { baseMs: 250, capMs: 10_000, spreadMs: 500 };

// Returns the milliseconds to wait after attempt 0, 1, 2, …. `floorMs` is the minimum, without the spread.
export function backoff(attempt, options = {}, floorMs = 0) {
  const { baseMs, capMs, spreadMs } = { ...DEFAULTS, ...options };
  const jittered = Math.random() * Math.min(capMs, baseMs * 2 ** attempt);
  return Math.max(floorMs ?? 0, jittered) + Math.random() * spreadMs;
}

// Resolves after `ms` milliseconds. Rejects with the signal's reason when the signal is aborted earlier.
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

// Pauses before the next attempt. Resolves early when the signal is aborted.
export function pauseBeforeRetry(attempt, options, floorMs, signal) {
  return pause(backoff(attempt, options, floorMs), signal).catch(() => {});
}
