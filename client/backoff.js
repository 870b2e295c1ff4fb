// When to try again: exponential backoff with full jitter, never before what the server asked for, and spread by half a
// second more, so that those whom one failure hit at the same moment do not return at the same moment.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

const DEFAULTS = { baseMs: 250, capMs: 10_000, spreadMs: 500 };

// Milliseconds to wait after attempt 0, 1, 2, ….
export function backoff(attempt, options = {}, floorMs = 0) {
  const { baseMs, capMs, spreadMs } = { ...DEFAULTS, ...options };
  const jittered = Math.random() * Math.min(capMs, baseMs * 2 ** attempt);
  return Math.max(floorMs ?? 0, jittered) + Math.random() * spreadMs;
}

// Resolves after so many milliseconds; rejects with the signal's reason when it is aborted before.
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
