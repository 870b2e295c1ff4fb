// Streams that another cell has: which one by the server's own hash, and going there when a server says so
// (../docs/cells.md).
import { failure } from './errors.js';
import { hashNumber } from './hash.js';

const MAX_HOPS = 3; // of one request
const MAX_KNOWN = 1000; // streams

export class Cells {
  #follow;
  #known = new Map(); // stream id → origin of its cell

  constructor(follow) {
    this.#follow = follow;
  }

  // Calls ask(url) where the stream is known to be, else at home, and goes on from there to where it is told to.
  async ask(streamId, home, ask) {
    const id = streamId?.toLowerCase();
    let url = this.#known.get(id) ?? home;
    for (let hops = 0; ; hops++) {
      try {
        return await ask(url);
      } catch (error) {
        if (isElsewhere(error) || isAway(error)) this.#known.delete(id);
        const next = id && this.#follow && isElsewhere(error) ? trusted(error.details, home) : null;
        if (!next) throw error;
        if (hops === MAX_HOPS) throw failure('cells_disagree', `no cell takes stream ${id}`, error);
        this.#remember(id, (url = next));
      }
    }
  }

  #remember(id, origin) {
    this.#known.set(id, origin);
    if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value);
  }
}

const isElsewhere = ({ status, code }) => status === 421 && code === 'wrong_cell';

// No answer, or one of a proxy that stands in front of nothing.
const isAway = ({ status, code }) => status === 0 || code === 'unexpected_answer';

// The session's token goes there: never over less than it went before, and nowhere but to an origin.
function trusted(details, home) {
  const schemes = /^http:/i.test(home) ? ['http:', 'https:'] : ['https:'];
  try {
    const { href, origin, protocol } = new URL(details);
    return href === `${origin}/` && schemes.includes(protocol) ? origin : null;
  } catch {
    return null;
  }
}

// The cell that a stream belongs to: where it is pinned ({stream id: cell}), else the one with the highest score. Null
// when there are no cells.
export async function cellOf(streamId, cells, pins = {}) {
  const id = streamId.toLowerCase();
  if (Object.hasOwn(pins, id)) return pins[id];
  let best = null;
  for (const cell of cells) {
    const score = await hashNumber(`${cell}/${id}`);
    if (best === null || score > best.score || (score === best.score && cell < best.cell)) best = { cell, score };
  }
  return best?.cell ?? null;
}
