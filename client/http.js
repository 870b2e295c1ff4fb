// Sends requests to the sidecar with the session token and a timeout. Every failure is a SealcastError.
import { checkType, readAnswer, REGION_LIST } from './answers.js';
import { Cells } from './cells.js';
import { errorOfResponse, failure } from './errors.js';
import { onAbort } from './on_abort.js';
import { Regions } from './regions.js';
import { startTimer } from './timers.js';

const REGIONS_TIMEOUT_MS = 5000; // of GET /regions; when it fails, requests go to a known region

export class Http {
  #regions;
  #fetch;
  #token;
  #timeoutMs;
  #cells;

  constructor({ url, regions, token, getToken, fetch = globalThis.fetch, timeoutMs = 15_000, followCells = true }) {
    const listOptions = { answer: REGION_LIST, session: false, timeoutMs: Math.min(timeoutMs, REGIONS_TIMEOUT_MS) };
    this.#regions = new Regions(url, regions, (from) => this.#json('GET', { url: from }, '/regions', listOptions));
    this.#fetch = (...request) => fetch(...request);
    this.#token = getToken ?? (({ refresh }) => (refresh ? null : token));
    this.#timeoutMs = timeoutMs;
    this.#cells = new Cells(followCells);
  }

  // The address of the region that requests go to.
  get region() {
    return this.#regions.current;
  }

  // Resolves with the body of the answer, which must be as `answer` describes (answers.js). A request with `streamId` goes to
  // the cell that has the stream.
  async json(method, path, options = {}) {
    const at = { url: await this.#regions.choose() };
    try {
      return await this.#json(method, at, path, options);
    } catch (error) {
      this.#regions.failed(at.url, error);
      throw error;
    }
  }

  async #json(method, at, path, { answer, body, cache, streamId, session = true, signal, timeoutMs = this.#timeoutMs }) {
    const timeout = new Timeout(timeoutMs, signal);
    try {
      const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
      const coming = this.#request(at, path, { method, headers, body, cache, signal: timeout.signal }, session, streamId);
      const reading = coming.then(async (response) => {
        if (response.status === 204 && answer.mayBeEmpty) return null;
        checkType(response, 'json', answer.name);
        return readAnswer(response, await response.text(), answer);
      });
      return await orAborted(reading, timeout.signal);
    } catch (error) {
      throw requestError(error, timeout.signal, at.url);
    } finally {
      timeout.stop();
      timeout.release();
    }
  }

  // Resolves with the unread body of the answer, and with failed(error), to be called when reading the body fails. The
  // timeout is for the head of the answer only.
  async open(path, { headers, streamId, session = true, signal }) {
    const at = { url: await this.#regions.choose() };
    const failed = (error) => this.#regions.failed(at.url, error);
    const timeout = new Timeout(this.#timeoutMs, signal);
    const init = { method: 'GET', headers, cache: 'no-store', signal: timeout.signal };
    const answer = this.#request(at, path, init, session, streamId);
    try {
      const response = await orAborted(answer, timeout.signal);
      checkType(response, 'events', 'an event stream');
      return { body: response.body, failed };
    } catch (error) {
      answer.then(({ body }) => body.cancel()).catch(() => {}); // it is not an event stream, or may still come, too late
      failed(error);
      throw error;
    } finally {
      timeout.stop();
    }
  }

  // `at.url` is the region at first, and is set to the address of the stream's cell.
  #request(at, path, init, session, streamId) {
    return this.#cells.request(streamId, at.url, (url) => {
      at.url = url;
      return this.#requestWithSession(url + path, init, session);
    });
  }

  // After a 401 the session token is renewed once, if getToken() gives another one.
  async #requestWithSession(url, init, session) {
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
      throw requestError(error, init.signal, url);
    }
  }
}

// A signal that is aborted with the caller's signal, or when the time is over before stop() is called.
class Timeout {
  #controller = new AbortController();

  constructor(ms, signal) {
    const follow = () => this.#controller.abort(signal.reason);
    if (signal?.aborted) follow();
    this.release = onAbort(signal, follow);
    this.stop = startTimer(ms, () => this.#controller.abort(failure('timeout', `no answer came within ${ms} ms`)));
  }

  get signal() {
    return this.#controller.signal;
  }
}

// Settles as the promise does, or rejects with the signal's reason as soon as the signal is aborted. The signal alone may
// not end a fetch: Debian's Node.js 18 forgets it at a garbage collection (https://github.com/nodejs/undici/issues/1926).
function orAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

// fetch() rejects with a TypeError for every network error. The reason of an aborted signal is passed on unchanged.
function requestError(error, signal, url) {
  if (signal.aborted) return signal.reason;
  return error instanceof TypeError ? failure('unreachable', unreachable(url), error) : error;
}

// A browser does not tell a page whether the server is away or does not allow the page's origin.
function unreachable(url) {
  const { origin } = new URL(url);
  const page = globalThis.location?.origin;
  const cors = page && page !== origin ? `, or it does not allow the origin ${page} of this page (CORS, http.cors_origins)` : '';
  return `the server at ${origin} cannot be reached${cors}`;
}
