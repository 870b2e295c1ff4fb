// Chooses the region that requests go to: the nearest one, and the next one after a failure (../docs/regions.md).
import { SealcastError } from './errors.js';

const LIST_MAX_AGE_MS = 300_000; // an older answer of /regions is requested again
const RETRY_LIST_MS = 30_000; // after a failure: by then the regions have noticed it too, and fewer clients ask
const RETURN_MS = 300_000; // this long after a failure, the next request goes to the first region of the list again

const NO_ANSWER = new Set(['unreachable', 'timeout', 'silence', 'unexpected_answer']);
const NOT_REGIONAL = new Set(['overloaded', 'txn_in_progress', 'no_partition', 'database_full']); // 503 answers that another region would give too

const unique = (urls) => [...new Set(urls)];
const withoutSlash = (url) => String(url).replace(/\/+$/, '');

// Whether the region itself has failed. The end of an event stream (connection_lost) is no failure of the region: the
// sidecar may just have been replaced.
function isRegionFailure(error) {
  if (!(error instanceof SealcastError)) return false;
  if (error.status === 0) return NO_ANSWER.has(error.code);
  return (error.status >= 500 && !NOT_REGIONAL.has(error.code)) || (error.status === 404 && error.retryable);
}

export class Regions {
  #url; // the caller's address; it stays in every list, as the last resort
  #urls; // the best first
  #current;
  #leftAt = 0; // the time of the last failure
  #readList = null; // (url) → the answer of /regions
  #readAt = 0; // the time of the next request for the list
  #reading = null; // promise of a request under way
  #settled = false; // the first request for the list has ended

  // `regions` is a list of addresses to use after `url`. Or it is true, and readList(url) asks the server for the list.
  constructor(url, regions, readList) {
    this.#url = withoutSlash(url);
    this.#urls = unique([this.#url, ...(Array.isArray(regions) ? regions.map(withoutSlash) : [])]);
    this.#current = this.#url;
    if (regions === true) this.#readList = readList;
  }

  get current() {
    return this.#current;
  }

  // Resolves with the address for a new request or connection. The first call waits for the server's list. Later calls do
  // not wait when the list is requested again.
  async choose() {
    if (this.#readList && !this.#reading && Date.now() >= this.#readAt) this.#renewList();
    if (this.#reading && !this.#settled) await this.#reading;
    if (this.#current !== this.#urls[0] && Date.now() - this.#leftAt >= RETURN_MS) this.#current = this.#urls[0];
    return this.#current;
  }

  // Reports that a request to `url` failed. Later requests go to the next region, if the region itself has failed. Several
  // requests that fail together move the client once.
  failed(url, error) {
    if (!isRegionFailure(error) || this.#urls.length === 1) return;
    error.retryAfterMs = null; // the failed region asked for this pause, the next one did not
    if (url !== this.#current) return;
    const next = (this.#urls.indexOf(url) + 1) % this.#urls.length;
    this.#current = this.#urls[next];
    this.#leftAt = Date.now();
    this.#readAt = Math.min(this.#readAt, Date.now() + RETRY_LIST_MS);
  }

  #renewList() {
    const from = this.#current;
    this.#reading = this.#readList(from)
      .then((answer) => this.#replaceList(usable(answer, from)))
      .catch(() => (this.#readAt = Date.now() + RETRY_LIST_MS))
      .finally(() => {
        this.#settled = true;
        this.#reading = null;
      });
  }

  #replaceList(urls) {
    this.#readAt = Date.now() + LIST_MAX_AGE_MS;
    const first = !this.#settled;
    this.#urls = unique([...urls, this.#url]);
    if (first || !this.#urls.includes(this.#current)) this.#current = this.#urls[0];
  }
}

// The session token is sent to these addresses. So a list that came over TLS may name only addresses with TLS.
function usable({ regions }, from) {
  const secure = from.startsWith('https:');
  const allowed = (url) => url.startsWith('https://') || (!secure && url.startsWith('http://'));
  return regions.map(({ url }) => withoutSlash(url)).filter(allowed);
}
