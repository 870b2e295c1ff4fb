// Starts every timer of this module. setTimeout() fires at once for more than 2^31 - 1 ms, so longer times are cut to that.

const MAX_MS = 2 ** 31 - 1; // about 25 days

// Calls callback() after `ms` milliseconds; Infinity is allowed. Returns a function that stops the timer.
export function startTimer(ms, callback) {
  const timer = setTimeout(callback, ms > 0 ? Math.min(ms, MAX_MS) : 0);
  return () => clearTimeout(timer);
}
