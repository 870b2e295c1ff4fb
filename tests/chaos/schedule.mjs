// Makes the schedule of faults: which fault is injected into which target, when, and for how long. The same seed,
// length and list of faults give the same schedule.
import { random } from '../client/random.mjs';
import { shapes } from './parts/gate_redis.mjs';

const QUIET_MS = 2000; // before the first fault and after the last
const GAP_MS = [200, 2200]; // between the starts of two faults: some faults overlap

// This short schedule contains every fault of a single Redis, with and without the faults that need root. Few seeds do.
export const SHORT = { seed: 996, seconds: 48 };

export const SHAPES = Object.keys(shapes);

// The shape of the gate's Redis that runs, when it is not chosen.
export const shapeOf = (seed) => SHAPES[seed % SHAPES.length];

// All faults. `duration`: the shortest and the longest, in ms. A target has one fault at a time. `group` names what the
// machine needs for the fault, and `shape` the shape of the gate's Redis that has it.
export const allFaults = [
  ...['a', 'b'].flatMap((name) => [
    { fault: 'kill', target: `sidecar-${name}`, duration: [0, 3000] },
    { fault: 'freeze', target: `sidecar-${name}`, duration: [500, 5000] },
    { fault: 'cut', target: `clients-${name}`, duration: [0, 1000] },
    { fault: 'delay', target: `clients-${name}`, duration: [1000, 3000] },
    { fault: 'cut', target: `postgres-${name}`, duration: [0, 2000] },
    { fault: 'delay', target: `postgres-${name}`, duration: [1000, 3000] },
    { fault: 'hold', target: `postgres-${name}`, duration: [500, 7000] },
    { fault: 'cut', target: `redis-${name}`, duration: [0, 2000], shape: 'single' },
    { fault: 'delay', target: `redis-${name}`, duration: [1000, 3000], shape: 'single' },
    { fault: 'hang', target: `first-host-${name}`, duration: [1000, 15_000] },
    { fault: 'vanish', target: `readers-${name}`, duration: [500, 3000], group: 'network' },
    { fault: 'fill', target: `log-${name}`, duration: [500, 5000] },
  ]),
  { fault: 'hold-rows', target: 'moderator', duration: [1500, 5000] },
  { fault: 'silence', target: 'resolver', duration: [1000, 15_000], group: 'network' },
  { fault: 'kill-backend', target: 'postgres', duration: [0, 0] },
  { fault: 'kill', target: 'postgres', duration: [0, 2000] },
  { fault: 'freeze', target: 'postgres', duration: [500, 4000] },
  { fault: 'fill-disk', target: 'postgres', duration: [500, 4000], group: 'disk' },
  { fault: 'failover', target: 'postgres', duration: [500, 4000] },
  { fault: 'point-in-time', target: 'postgres', duration: [500, 4000] },
  { fault: 'older-dump', target: 'redis-events', duration: [500, 4000] },
  { fault: 'older-dump', target: 'redis', duration: [500, 4000], shape: 'single' },
  { fault: 'kill', target: 'redis', duration: [0, 2000] },
  { fault: 'freeze', target: 'redis', duration: [500, 4000] },
  { fault: 'move-slot', target: 'redis', duration: [0, 2000], shape: 'cluster' },
  { fault: 'switch-over', target: 'redis', duration: [0, 2000], shape: 'sentinel' },
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

const nameOf = ({ fault, target }) => `${fault} ${target}`;

// Returns the faults of a shape. `only` is a list of faults with commas between them: "fault target", or one of the two.
export function faultsOf(shape, only = '') {
  if (!SHAPES.includes(shape)) throw new Error(`GATE_REDIS "${shape}" is none of ${SHAPES.join(', ')}`);
  const faults = allFaults.filter((fault) => (fault.shape ?? shape) === shape);
  const names = only.split(',').map((name) => name.trim()).filter(Boolean);
  if (names.length === 0) return faults;
  const matches = (fault, name) => [nameOf(fault), fault.fault, fault.target].includes(name);
  const unknown = names.find((name) => !faults.some((fault) => matches(fault, name)));
  if (unknown) throw new Error(`a ${shape} Redis has no fault or target "${unknown}"; there are: ${faults.map(nameOf).join(', ')}`);
  return faults.filter((fault) => names.some((name) => matches(fault, name)));
}

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
