// Calculates the pause before a retry: exponential backoff with full jitter, and never shorter than the server asked for.
// A random spread of up to half a second comes on top, so that clients that failed at the same moment do not retry at the
// same moment.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
import { onAbort } from './on_abort.js';
import { startTimer } from './timers.js';
import { onWake } from './wake.js';

const DEFAULTS = { baseMs: 250, capMs: 10_000, spreadMs: 500 };
const MAX_DOUBLINGS = 60; // keeps 0 · 2ⁿ a number

// Returns the milliseconds to wait after attempt 0, 1, 2, …. `floorMs` is the minimum, without the spread.
export function backoff(attempt, options = {}, floorMs = 0) {
  const { baseMs, capMs, spreadMs } = { ...DEFAULTS, ...options };
  const jittered = Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, MAX_DOUBLINGS));
  return Math.max(floorMs ?? 0, jittered) + Math.random() * spreadMs;
}

// Resolves after `ms` milliseconds. Rejects with the signal's reason when the signal is aborted earlier.
export function pause(ms, signal) {
  return pauseUntilWake(ms, ms, signal);
}

// Like pause(), but resolves when the page wakes, if `floorMs` have passed by then, or else when they have passed.
export function pauseUntilWake(ms, floorMs, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const began = Date.now();
    const end = (settle) => () => {
      stopTimer();
      stopWaking?.();
      stopListening();
      settle();
    };
    const finish = end(resolve);
    let stopTimer = startTimer(ms, finish);
    const shorten = () => {
      stopTimer();
      stopTimer = startTimer(floorMs - (Date.now() - began), finish);
    };
    const stopWaking = floorMs < ms ? onWake(shorten) : null;
    const stopListening = onAbort(signal, end(() => reject(signal.reason)));
  });
}

// Pauses before the next attempt; `floorMs` is what the server asked for. Resolves early when the signal is aborted.
export function pauseBeforeRetry(attempt, options, floorMs, signal) {
  return pauseUntilWake(backoff(attempt, options, floorMs), floorMs ?? 0, signal).catch(() => {});
}
