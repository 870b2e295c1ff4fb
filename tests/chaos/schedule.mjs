// Which fault strikes what, when, and for how long: the same for the same seed, length and menu.
import { random } from '../client/random.mjs';

const CALM_MS = 2000; // before the first fault and after the last
const GAP_MS = [200, 2200]; // from one fault to the next: some overlap

// Half a minute in which everything on the menu strikes, as root and without: few seeds have that.
export const SHORT = { seed: 757, seconds: 34 };

// What may strike. `lasts`: from and to, in ms. Of faults with the same `on`, one at a time; `group` is what a machine may
// be unable to do.
export const menu = [
  ...['a', 'b'].flatMap((name) => [
    { fault: 'kill', on: `sidecar-${name}`, lasts: [0, 3000] },
    { fault: 'freeze', on: `sidecar-${name}`, lasts: [500, 5000] },
    { fault: 'cut', on: `clients-${name}`, lasts: [0, 1000] },
    { fault: 'delay', on: `clients-${name}`, lasts: [1000, 3000] },
    { fault: 'cut', on: `postgres-${name}`, lasts: [0, 2000] },
    { fault: 'delay', on: `postgres-${name}`, lasts: [1000, 3000] },
    { fault: 'hold', on: `postgres-${name}`, lasts: [500, 7000] },
    { fault: 'cut', on: `redis-${name}`, lasts: [0, 2000] },
    { fault: 'delay', on: `redis-${name}`, lasts: [1000, 3000] },
  ]),
  { fault: 'kill-backend', on: 'postgres', lasts: [0, 0] },
  { fault: 'kill', on: 'postgres', lasts: [0, 2000] },
  { fault: 'freeze', on: 'postgres', lasts: [500, 4000] },
  { fault: 'fill-disk', on: 'postgres', lasts: [500, 4000], group: 'disk' },
  { fault: 'kill', on: 'redis', lasts: [0, 2000] },
  { fault: 'freeze', on: 'redis', lasts: [500, 4000] },
  { fault: 'kill', on: 'redis-target', lasts: [0, 2000] },
  { fault: 'freeze', on: 'redis-target', lasts: [500, 4000] },
  { fault: 'hold', on: 'link-redis-target', lasts: [500, 4000] },
  { fault: 'cut', on: 'link-redis-target', lasts: [0, 2000] },
  { fault: 'lose', on: 'link-redis-target', lasts: [500, 3000] },
  { fault: 'kill', on: 'mosquitto', lasts: [0, 2000] },
  { fault: 'freeze', on: 'mosquitto', lasts: [500, 4000] },
  { fault: 'cut', on: 'link-mosquitto', lasts: [0, 2000] },
  { fault: 'lose', on: 'link-mosquitto', lasts: [500, 3000] },
  { fault: 'step-clock-back', on: 'clock', lasts: [1000, 6000], group: 'clock' },
];

// [{at, fault, on, lasts}] in order of `at`, ms from the beginning. Everything on the menu has its turn before anything has
// its second.
export function schedule(seed, milliseconds, faults = menu) {
  const { below } = random(seed);
  const between = ([from, to]) => from + below(to - from + 1);
  const busyUntil = new Map();
  const events = [];
  let hand = [];
  for (let at = CALM_MS; at < milliseconds - CALM_MS; at += between(GAP_MS)) {
    if (hand.length === 0) hand = shuffled(faults, below);
    const place = hand.findIndex(({ on }) => !(busyUntil.get(on) > at));
    if (place < 0) continue;
    const [{ fault, on, lasts }] = hand.splice(place, 1);
    const event = { at, fault, on, lasts: Math.min(between(lasts), milliseconds - CALM_MS - at) };
    busyUntil.set(on, at + event.lasts);
    events.push(event);
  }
  return events;
}

function shuffled(cards, below) {
  const hand = [...cards];
  for (let i = hand.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [hand[i], hand[j]] = [hand[j], hand[i]];
  }
  return hand;
}
