// Reports that a page wakes: it becomes visible or is shown again, or the device is online again. Meanwhile its timers may
// have stood still (iOS), and its connections may have died without an error. Node.js has none of these events.
const EVENTS = ['online', 'pageshow', 'visibilitychange'];

// Calls callback() at each wake. Returns a function that ends this.
export function onWake(callback) {
  const { document } = globalThis;
  const listener = ({ type }) => {
    if (type !== 'visibilitychange' || document.visibilityState === 'visible') callback();
  };
  const target = (type) => (type === 'visibilitychange' ? document : globalThis);
  for (const type of EVENTS) target(type)?.addEventListener?.(type, listener);
  return () => {
    for (const type of EVENTS) target(type)?.removeEventListener?.(type, listener);
  };
}
