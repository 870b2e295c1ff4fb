// Which region requests go to: the nearest one, until it does not answer, then the next (../docs/regions.md).
import { SealcastError } from './errors.js';

const FRESH_MS = 300_000; // how long an answer of /regions is good for
const ASK_AGAIN_MS = 30_000; // after a failure: regions notice it too, and the rush is over
const AWAY_MS = 300_000; // how long a client stays where a failure brought it before a new request goes home

const NO_ANSWER = new Set(['unreachable', 'timeout', 'silence', 'unexpected_answer']);
const PASSING = new Set(['overloaded', 'txn_in_progress']); // a load or a moment, which another region would share

const unique = (urls) => [...new Set(urls)];
const withoutSlash = (url) => String(url).replace(/\/+$/, '');

// Whether the region itself has failed. A stream that merely ends may go on at the same place: a sidecar was replaced.
function isRegions(error) {
  if (!(error instanceof SealcastError)) return false;
  return error.status === 0 ? NO_ANSWER.has(error.code) : error.status >= 500 && !PASSING.has(error.code);
}

export class Regions {
  #url; // what the caller knows, and the last resort
  #urls; // the best first, which is home
  #current;
  #since = 0; // a failure brought it there
  #ask = null; // (url) → the answer of /regions
  #askAt = 0;
  #asking = null;
  #known = false; // what can be known for now

  // `regions`: addresses to go on to after `url`, or true: those that the server tells by ask(url).
  constructor(url, regions, ask) {
    this.#url = withoutSlash(url);
    this.#urls = unique([this.#url, ...(Array.isArray(regions) ? regions.map(withoutSlash) : [])]);
    this.#current = this.#url;
    if (regions === true) this.#ask = ask;
  }

  get current() {
    return this.#current;
  }

  // For a new request or connection. The first one waits for the server's list; later the list is renewed beside.
  async choose() {
    if (this.#ask && !this.#asking && Date.now() >= this.#askAt) this.#renew();
    if (this.#asking && !this.#known) await this.#asking;
    if (this.#current !== this.#urls[0] && Date.now() - this.#since >= AWAY_MS) this.#current = this.#urls[0];
    return this.#current;
  }

  // How a request to `url` failed. Later ones go to the next region, where that may help and nobody has moved on yet.
  failed(url, error) {
    if (!isRegions(error) || this.#urls.length === 1) return;
    error.retryAfterMs = null; // was asked for by the region that is left
    if (url !== this.#current) return;
    const next = (this.#urls.indexOf(url) + 1) % this.#urls.length;
    this.#current = this.#urls[next];
    this.#since = Date.now();
    this.#askAt = Math.min(this.#askAt, Date.now() + ASK_AGAIN_MS);
  }

  #renew() {
    const from = this.#current;
    this.#asking = this.#ask(from)
      .then((answer) => this.#take(usable(answer, from)))
      .catch(() => (this.#askAt = Date.now() + ASK_AGAIN_MS))
      .finally(() => {
        this.#known = true;
        this.#asking = null;
      });
  }

  #take(urls) {
    this.#askAt = Date.now() + FRESH_MS;
    const first = !this.#known;
    this.#urls = unique([...urls, this.#url]);
    if (first || !this.#urls.includes(this.#current)) this.#current = this.#urls[0];
  }
}

// The session goes where the list says: never from TLS to none.
function usable({ regions }, from) {
  const secure = from.startsWith('https:');
  const allowed = (url) => url.startsWith('https://') || (!secure && url.startsWith('http://'));
  return regions.map(({ url }) => withoutSlash(url)).filter(allowed);
}
