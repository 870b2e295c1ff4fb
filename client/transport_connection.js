// Keeps the driver of one transport connected for one subscription. It connects again after a loss, with backoff, until
// it is closed.
import { pauseBeforeRetry } from './backoff.js';
import { failure, SealcastError } from './errors.js';

const STABLE_MS = 10_000; // a connection that lasted this long, or brought a frame, resets the backoff

export class TransportConnection {
  #driver;
  #tools;
  #hooks;
  #stop = new AbortController();
  #ended;
  #quietTimer;
  #gotFrame = false;

  // Hooks: onFrame(frame), onBadFrame(error), onReset(offset), onConnected({offset, resumed}), onWaiting(error),
  // onFailed(error); after() returns the offset to resume after; onQuiet() is called after about quietMs without a frame,
  // on transports that do not resume and so would not notice a loss. The driver gets `tools` in its context.
  constructor(driver, streamId, tools, hooks, { reconnect, quietMs }) {
    this.#driver = driver;
    this.#tools = tools;
    this.#hooks = hooks;
    this.connected = false;
    this.#ended = this.#run(streamId, reconnect, quietMs);
  }

  get name() {
    return this.#driver.name;
  }

  // Whether the transport itself resumes where the last connection ended.
  get resumes() {
    return this.#driver.resumes === true;
  }

  // Resolves when the driver has closed its connection. No hook is called from now on.
  close() {
    this.#stop.abort();
    return this.#ended;
  }

  get #closed() {
    return this.#stop.signal.aborted;
  }

  async #run(streamId, reconnect, quietMs) {
    const { signal } = this.#stop;
    await null; // no hook is called before the caller of the constructor has this object
    for (let attempt = 0; !this.#closed; attempt++) {
      const began = Date.now();
      const backoffOptions = { ...reconnect };
      this.#gotFrame = false;
      let problem = failure('connection_lost', `the ${this.name} connection has ended`);
      try {
        await this.#driver.connect(streamId, { ...this.#context(quietMs, backoffOptions, reconnect), signal });
      } catch (error) {
        problem = error;
      }
      clearTimeout(this.#quietTimer);
      this.connected = false;
      if (this.#closed) return;
      if (problem instanceof SealcastError && !problem.retryable) return this.#hooks.onFailed(problem);
      this.#hooks.onWaiting(problem);
      if (this.#gotFrame || Date.now() - began > STABLE_MS) attempt = 0;
      await pauseBeforeRetry(attempt, backoffOptions, problem.retryAfterMs, signal);
    }
  }

  // The driver's context. Its callbacks do nothing after close().
  #context(quietMs, backoffOptions, reconnect) {
    const unlessClosed = (callback) => (argument) => this.#closed || callback(argument);
    const hooks = this.#hooks;
    return {
      ...this.#tools,
      after: hooks.after,
      onFrame: unlessClosed((frame) => {
        this.#gotFrame = true;
        this.#restartQuietTimer(quietMs);
        hooks.onFrame(frame);
      }),
      onBadFrame: unlessClosed(hooks.onBadFrame),
      onReset: unlessClosed(hooks.onReset),
      // The server's `retry` field is used unless the caller has set baseMs.
      onPace: unlessClosed((baseMs) => {
        backoffOptions.baseMs = reconnect?.baseMs ?? baseMs;
      }),
      onConnected: unlessClosed((how = {}) => {
        this.connected = true;
        this.#restartQuietTimer(quietMs);
        hooks.onConnected(how);
      }),
      // The SDK connects again by itself.
      onWaiting: unlessClosed((error) => {
        this.connected = false;
        clearTimeout(this.#quietTimer);
        hooks.onWaiting(error);
      }),
    };
  }

  // The interval is random, between half and one and a half times quietMs, so that readers do not ask at the same moment.
  #restartQuietTimer(quietMs) {
    clearTimeout(this.#quietTimer);
    if (this.resumes || !quietMs) return;
    this.#quietTimer = setTimeout(() => {
      this.#restartQuietTimer(quietMs);
      this.#hooks.onQuiet();
    }, quietMs * (0.5 + Math.random()));
  }
}
