// Listens to an AbortSignal with one listener, however many callbacks wait for it: Node.js warns of a leak from the eleventh
// on. A caller may give one signal to many requests.

const waiting = new WeakMap(); // signal → Set of callbacks

// Calls callback() when the signal is aborted. The callback must belong to this call alone. Returns a function that ends this.
export function onAbort(signal, callback) {
  if (!signal) return () => {};
  if (!waiting.has(signal)) {
    waiting.set(signal, new Set());
    signal.addEventListener('abort', () => [...waiting.get(signal)].forEach((each) => each()), { once: true });
  }
  waiting.get(signal).add(callback);
  return () => waiting.get(signal).delete(callback);
}
