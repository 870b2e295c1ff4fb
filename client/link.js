// One transport of one subscription: keeps its driver connected until it is closed, with backoff in between.
import { backoff, pause } from './backoff.js';
import { failure, SealcastError } from './errors.js';

const LONG_ENOUGH_MS = 10_000; // a connection that held so long, or brought a frame, was a good one

export class Link {
  #driver;
  #tools;
  #hooks;
  #stop = new AbortController();
  #ended;
  #quiet;
  #good = false;

  // Hooks: onFrame(frame), onBadFrame(error), onReset(offset), onConnected({offset, resumed}), onWaiting(error),
  // onFailed(error); after() tells what to resume after; onQuiet() is called after about quietMs without a frame, where
  // the transport alone would not notice a loss. Tools are handed to the driver.
  constructor(driver, streamId, tools, hooks, { reconnect, quietMs }) {
    this.#driver = driver;
    this.#tools = tools;
    this.#hooks = hooks;
    this.connected = false;
    this.#ended = this.#keepUp(streamId, reconnect, quietMs);
  }

  get name() {
    return this.#driver.name;
  }

  // Whether the transport itself resumes where it was cut off.
  get resumes() {
    return this.#driver.resumes === true;
  }

  // Resolves when the driver has let go of its connection. Nothing is reported any more.
  close() {
    this.#stop.abort();
    return this.#ended;
  }

  get #closed() {
    return this.#stop.signal.aborted;
  }

  async #keepUp(streamId, reconnect, quietMs) {
    const { signal } = this.#stop;
    await null; // nothing is told before the constructor's caller has this link
    for (let attempt = 0; !this.#closed; attempt++) {
      const began = Date.now();
      const pace = { ...reconnect };
      this.#good = false;
      let problem = failure('connection_lost', `${this.name} has ended`);
      try {
        await this.#driver.connect(streamId, { ...this.#reports(quietMs, pace, reconnect), signal });
      } catch (error) {
        problem = error;
      }
      clearTimeout(this.#quiet);
      this.connected = false;
      if (this.#closed) return;
      if (problem instanceof SealcastError && !problem.retryable) return this.#hooks.onFailed(problem);
      this.#hooks.onWaiting(problem);
      if (this.#good || Date.now() - began > LONG_ENOUGH_MS) attempt = 0;
      await pause(backoff(attempt, pace, problem.retryAfterMs), signal).catch(() => {});
    }
  }

  // What a driver may tell; after close() nobody listens.
  #reports(quietMs, pace, reconnect) {
    const report = (tell) => (told) => this.#closed || tell(told);
    const hooks = this.#hooks;
    return {
      ...this.#tools,
      after: hooks.after,
      onFrame: report((frame) => {
        this.#good = true;
        this.#listen(quietMs);
        hooks.onFrame(frame);
      }),
      onBadFrame: report(hooks.onBadFrame),
      onReset: report(hooks.onReset),
      // The server's own idea of a pause, unless the caller has one.
      onPace: report((baseMs) => {
        pace.baseMs = reconnect?.baseMs ?? baseMs;
      }),
      onConnected: report((how = {}) => {
        this.connected = true;
        this.#listen(quietMs);
        hooks.onConnected(how);
      }),
      // The SDK itself will connect again.
      onWaiting: report((error) => {
        this.connected = false;
        clearTimeout(this.#quiet);
        hooks.onWaiting(error);
      }),
    };
  }

  #listen(quietMs) {
    clearTimeout(this.#quiet);
    if (this.resumes || !quietMs) return;
    this.#quiet = setTimeout(() => {
      this.#listen(quietMs);
      this.#hooks.onQuiet();
    }, quietMs * (0.5 + Math.random()));
  }
}
