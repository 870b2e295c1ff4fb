// Sends a request to the cell that has the stream: follows a server's 421 wrong_cell answer, and remembers the cell.
// cellOf() calculates a stream's cell by the same hash as the server (../docs/cells.md).
import { failure } from './errors.js';
import { hashNumber } from './hash.js';

const MAX_REDIRECTS = 3; // of one request
const MAX_REMEMBERED = 1000; // streams

export class Cells {
  #follow;
  #origins = new Map(); // stream id → origin of its cell

  constructor(follow) {
    this.#follow = follow;
  }

  // Calls request(url) with the remembered origin of the stream's cell, or else with `home`. Repeats it with the origin
  // that a wrong_cell answer names.
  async request(streamId, home, request) {
    const id = streamId?.toLowerCase();
    let url = this.#origins.get(id) ?? home;
    for (let redirects = 0; ; redirects++) {
      try {
        return await request(url);
      } catch (error) {
        if (isWrongCell(error) || isUnreachable(error)) this.#origins.delete(id);
        const next = id && this.#follow && isWrongCell(error) ? trustedOrigin(error.details, home) : null;
        if (!next) throw error;
        if (redirects === MAX_REDIRECTS) throw failure('cells_disagree', `no cell accepts stream ${id}`, error);
        this.#remember(id, (url = next));
      }
    }
  }

  #remember(id, origin) {
    this.#origins.set(id, origin);
    if (this.#origins.size > MAX_REMEMBERED) this.#origins.delete(this.#origins.keys().next().value);
  }
}

const isWrongCell = ({ status, code }) => status === 421 && code === 'wrong_cell';

// `unexpected_answer` comes from a proxy whose server is down.
const isUnreachable = ({ status, code }) => status === 0 || code === 'unexpected_answer';

// The request to the other cell carries the session token. So the address must be a bare origin, and https: unless
// `home` is http:.
function trustedOrigin(details, home) {
  const schemes = /^http:/i.test(home) ? ['http:', 'https:'] : ['https:'];
  try {
    const { href, origin, protocol } = new URL(details);
    return href === `${origin}/` && schemes.includes(protocol) ? origin : null;
  } catch {
    return null;
  }
}

// Returns the cell of a stream: the pinned one of `pins` ({stream id: cell}), or else the cell with the highest score.
// Returns null when there are no cells.
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
