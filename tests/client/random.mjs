// Random numbers that a seed repeats. A failed test reports its seed.
export function random(seed) {
  let state = seed >>> 0;
  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    chance: (p) => next() < p,
    below: (n) => Math.floor(next() * n),
    // Moves each element by at most this many places.
    jostled: (list, places) => {
      const keyed = list.map((value, i) => [i + next() * places, value]);
      return keyed.sort(([a], [b]) => a - b).map(([, value]) => value);
    },
  };
}
