// Makes the schedule of faults: which fault is injected into which target, when, and for how long. The same seed,
// length and list of faults give the same schedule.
import { random } from '../client/random.mjs';

const QUIET_MS = 2000; // before the first fault and after the last
const GAP_MS = [200, 2200]; // between the starts of two faults: some faults overlap

// This short schedule contains every fault, with and without the faults that need root. Few seeds do.
export const SHORT = { seed: 757, seconds: 34 };

// All faults. `duration`: the shortest and the longest, in ms. A target has one fault at a time. `group` names what the
// machine needs for the fault.
export const allFaults = [
  ...['a', 'b'].flatMap((name) => [
    { fault: 'kill', target: `sidecar-${name}`, duration: [0, 3000] },
    { fault: 'freeze', target: `sidecar-${name}`, duration: [500, 5000] },
    { fault: 'cut', target: `clients-${name}`, duration: [0, 1000] },
    { fault: 'delay', target: `clients-${name}`, duration: [1000, 3000] },
    { fault: 'cut', target: `postgres-${name}`, duration: [0, 2000] },
    { fault: 'delay', target: `postgres-${name}`, duration: [1000, 3000] },
    { fault: 'hold', target: `postgres-${name}`, duration: [500, 7000] },
    { fault: 'cut', target: `redis-${name}`, duration: [0, 2000] },
    { fault: 'delay', target: `redis-${name}`, duration: [1000, 3000] },
  ]),
  { fault: 'kill-backend', target: 'postgres', duration: [0, 0] },
  { fault: 'kill', target: 'postgres', duration: [0, 2000] },
  { fault: 'freeze', target: 'postgres', duration: [500, 4000] },
  { fault: 'fill-disk', target: 'postgres', duration: [500, 4000], group: 'disk' },
  { fault: 'kill', target: 'redis', duration: [0, 2000] },
  { fault: 'freeze', target: 'redis', duration: [500, 4000] },
  { fault: 'kill', target: 'redis-target', duration: [0, 2000] },
  { fault: 'freeze', target: 'redis-target', duration: [500, 4000] },
  { fault: 'hold', target: 'link-redis-target', duration: [500, 4000] },
  { fault: 'cut', target: 'link-redis-target', duration: [0, 2000] },
  { fault: 'lose', target: 'link-redis-target', duration: [500, 3000] },
  { fault: 'kill', target: 'mosquitto', duration: [0, 2000] },
  { fault: 'freeze', target: 'mosquitto', duration: [500, 4000] },
  { fault: 'cut', target: 'link-mosquitto', duration: [0, 2000] },
  { fault: 'lose', target: 'link-mosquitto', duration: [500, 3000] },
  { fault: 'step-clock-back', target: 'clock', duration: [1000, 6000], group: 'clock' },
];

// Returns [{at, fault, target, duration}] in the order of `at`, ms from the beginning. Every fault occurs once before
// any fault occurs a second time.
export function schedule(seed, milliseconds, faults = allFaults) {
  const { below } = random(seed);
  const between = ([from, to]) => from + below(to - from + 1);
  const busyUntil = new Map();
  const events = [];
  let waiting = [];
  for (let at = QUIET_MS; at < milliseconds - QUIET_MS; at += between(GAP_MS)) {
    if (waiting.length === 0) waiting = shuffled(faults, below);
    const next = waiting.findIndex(({ target }) => !(busyUntil.get(target) > at));
    if (next < 0) continue;
    const [{ fault, target, duration }] = waiting.splice(next, 1);
    const event = { at, fault, target, duration: Math.min(between(duration), milliseconds - QUIET_MS - at) };
    busyUntil.set(target, at + event.duration);
    events.push(event);
  }
  return events;
}

function shuffled(list, below) {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}
