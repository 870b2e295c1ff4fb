// How the room writes texts, times and numbers.

const UNITS = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000]];

// The text of a message; its JSON if it has none.
export const textOf = (d) => d?.content ?? JSON.stringify(d);

export const shortened = (text) => (text.length > 40 ? `${[...text].slice(0, 39).join('')}…` : text);

export const clockOf = (time) => new Date(time).toLocaleTimeString([], { timeStyle: 'short' });

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

// The time that is left, in its two largest units: 2 days 23 hours.
export function timeLeft(until) {
  let left = new Date(until) - Date.now();
  const parts = [];
  for (const [unit, ms] of UNITS) {
    if (left >= ms) parts.push(plural(Math.floor(left / ms), unit));
    left %= ms;
  }
  return parts.slice(0, 2).join(' ') || 'less than a minute';
}
