// Requests to the sidecar: the session's token, a deadline, and every failure as a SealcastError.
import { Cells } from './cells.js';
import { errorOfResponse, failure } from './errors.js';
import { Regions } from './regions.js';

const REGIONS_MS = 5000; // for the list of regions; without it a request goes to what is known

export class Http {
  #regions;
  #fetch;
  #token;
  #timeoutMs;
  #cells;

  constructor({ url, regions, token, getToken, fetch = globalThis.fetch, timeoutMs = 15_000, followCells = true }) {
    const asking = { session: false, timeoutMs: Math.min(timeoutMs, REGIONS_MS) };
    this.#regions = new Regions(url, regions, (at) => this.#json('GET', { url: at }, '/regions', asking));
    this.#fetch = (...request) => fetch(...request);
    this.#token = getToken ?? (({ refresh }) => (refresh ? null : token));
    this.#timeoutMs = timeoutMs;
    this.#cells = new Cells(followCells);
  }

  // The address of the region that requests go to.
  get region() {
    return this.#regions.current;
  }

  // The body of the answer, parsed. With `streamId`, asked for in the cell that has the stream.
  async json(method, path, options = {}) {
    const at = { url: await this.#regions.choose() };
    try {
      return await this.#json(method, at, path, options);
    } catch (error) {
      this.#regions.failed(at.url, error);
      throw error;
    }
  }

  async #json(method, at, path, { body, cache, streamId, session = true, signal, timeoutMs = this.#timeoutMs }) {
    const limit = new Deadline(timeoutMs, signal);
    try {
      const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
      const answer = this.#request(at, path, { method, headers, body, cache, signal: limit.signal }, session, streamId);
      return parse(await orAborted(answer.then((response) => response.text()), limit.signal));
    } catch (error) {
      throw lostOr(error, limit.signal);
    } finally {
      limit.met();
      limit.release();
    }
  }

  // The body of an answer, still to be read, and failed(error) to tell how that went wrong. The deadline is for the
  // answer's head alone.
  async open(path, { headers, streamId, session = true, signal }) {
    const at = { url: await this.#regions.choose() };
    const failed = (error) => this.#regions.failed(at.url, error);
    const limit = new Deadline(this.#timeoutMs, signal);
    const init = { method: 'GET', headers, cache: 'no-store', signal: limit.signal };
    const answer = this.#request(at, path, init, session, streamId);
    try {
      const { body } = await orAborted(answer, limit.signal);
      return { body, failed };
    } catch (error) {
      answer.then(({ body }) => body.cancel()).catch(() => {}); // it comes too late
      failed(error);
      throw error;
    } finally {
      limit.met();
    }
  }

  // `at.url` is the region, and then where the stream's cell is.
  #request(at, path, init, session, streamId) {
    return this.#cells.ask(streamId, at.url, (url) => {
      at.url = url;
      return this.#requestOf(url + path, init, session);
    });
  }

  // A session that is over is renewed once, when there is a way to get a new one.
  async #requestOf(url, init, session) {
    const token = session ? await this.#token({ refresh: false }) : null;
    let response = await this.#send(url, init, token);
    if (response.status === 401 && session) {
      const renewed = await this.#token({ refresh: true });
      if (renewed && renewed !== token) response = await this.#send(url, init, renewed);
    }
    if (!response.ok) throw await errorOfResponse(response);
    return response;
  }

  async #send(url, init, token) {
    const headers = token ? { ...init.headers, Authorization: `Bearer ${token}` } : init.headers;
    try {
      return await this.#fetch(url, { ...init, headers });
    } catch (error) {
      throw lostOr(error, init.signal);
    }
  }
}

// A signal that follows the caller's, and is aborted when the time is over before the deadline is met.
class Deadline {
  #stop = new AbortController();
  #timer;

  constructor(ms, signal) {
    const follow = () => this.#stop.abort(signal.reason);
    if (signal?.aborted) follow();
    signal?.addEventListener('abort', follow, { once: true });
    this.release = () => signal?.removeEventListener('abort', follow);
    this.#timer = setTimeout(() => this.#stop.abort(failure('timeout', `no answer within ${ms} ms`)), ms);
  }

  get signal() {
    return this.#stop.signal;
  }

  met() {
    clearTimeout(this.#timer);
  }
}

// What the promise says, or the signal's reason as soon as it is aborted. A fetch does not always listen to its signal:
// that of Debian's Node.js 18 forgets it when garbage is collected (https://github.com/nodejs/undici/issues/1926).
function orAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failure('unexpected_answer', 'the answer is not JSON', error);
  }
}

// fetch rejects with a TypeError whatever went wrong; a signal's reason goes through as it is.
function lostOr(error, signal) {
  if (signal.aborted) return signal.reason;
  return error instanceof TypeError ? failure('unreachable', 'the server cannot be reached', error) : error;
}
