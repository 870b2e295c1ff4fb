// Repeatable random numbers: a seed gives the same numbers in every run. Which transactions meet still depends on the machine.
export function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}
