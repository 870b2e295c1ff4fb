// The mutes and bans of one user in this stream and in all streams, as notices state them.
const NAMES = ['banned', 'muted']; // the strictest first

export class Restrictions {
  #stated = new Map(); // stream and name → {name, until}; until: by the clock of this machine; null: without an end

  // Returns whether the notice is about a mute or a ban.
  apply({ kind, streamId, until, envelope }) {
    const name = NAMES.find((each) => kind === each || kind === `un${each}`);
    if (!name) return false;
    const key = `${streamId} ${name}`;
    if (kind !== name) this.#stated.delete(key);
    else this.#stated.set(key, { name, until: until === null ? null : Date.now() + until - envelope.ts });
    return true;
  }

  clear() {
    this.#stated.clear();
  }

  // Returns the strictest one in force, of several equal ones the one that ends last; null: none is in force.
  strictest(now) {
    const end = ({ until }) => until ?? Infinity;
    const inForce = [...this.#stated.values()].filter((each) => end(each) > now);
    const [first = null] = inForce.sort((a, b) => NAMES.indexOf(a.name) - NAMES.indexOf(b.name) || (end(a) < end(b) ? 1 : -1));
    return first;
  }
}

// Returns for example "Muted, 0:43", or "Banned" without an end.
export function countdown({ name, until }, now) {
  const label = name[0].toUpperCase() + name.slice(1);
  if (until === null) return label;
  const seconds = Math.max(0, Math.ceil((until - now) / 1000));
  const two = (number) => String(number).padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${label}, ${h > 0 ? `${h}:${two(m)}` : m}:${two(s)}`;
}
