// Keeps the driver of one transport connected for one subscription. It connects again after a loss, with backoff, until
// it is closed.
import { pauseBeforeRetry } from './backoff.js';
import { failure, SealcastError } from './errors.js';
import { SilentChannel } from './silent_channel.js';
import { startTimer } from './timers.js';
import { onWake } from './wake.js';

const STABLE_MS = 10_000; // a connection that lasted this long, or brought a frame, resets the backoff
const AWAY_MS = 5000; // about the time between two calls of onQuiet() while there is no connection

export class TransportConnection {
  #driver;
  #tools;
  #hooks;
  #stop = new AbortController();
  #ended;
  #stopQuietTimer = () => {};
  #away = false; // the timer runs with AWAY_MS
  #gotFrame = false;
  #channel = new SilentChannel();

  // Hooks: onFrame(frame), onRetained(frame) for a retained message before the first frame, onNotice(envelope), onBadFrame(error), onReset(offset, epoch), onConnected({offset, epoch, resumed}),
  // onWaiting(error), onFailed(error); onSilent(error) when the channel brings nothing although the stream has new messages;
  // after() returns the resume point; onQuiet() is called after about quietMs without a frame,
  // on transports that do not resume and so would not notice a loss. While the connection is lost it is called every few
  // seconds: messages arrive elsewhere, and one of them may say which transport to use now. The driver gets `tools` in its context.
  constructor(driver, streamId, tools, hooks, { reconnect, quietMs }) {
    this.#driver = driver;
    this.#tools = tools;
    this.#hooks = hooks;
    this.connected = false;
    // A page that wakes may have missed frames while its connection seemed alive.
    const stopWaking = onWake(() => this.connected && !this.resumes && hooks.onQuiet());
    this.#ended = this.#run(streamId, reconnect, quietMs).finally(() => {
      stopWaking();
      this.#stopQuietTimer();
    });
  }

  get name() {
    return this.#driver.name;
  }

  // Whether the transport itself resumes where the last connection ended.
  get resumes() {
    return this.#driver.resumes === true;
  }

  // To be called with each page of the history that was read while this transport carried the stream.
  sawHistory(page) {
    if (this.#closed || this.resumes || !this.connected || !this.#channel.read(page)) return;
    const message = `the ${this.name} channel brings no messages, but the history has new ones, up to offset ${page.last}`;
    this.#hooks.onSilent(new SealcastError('channel_silent', message, { hint: this.#driver.silenceHint }));
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
      this.connected = false;
      if (this.#closed) return;
      if (problem instanceof SealcastError && !problem.retryable) return this.#hooks.onFailed(problem);
      this.#startAwayTimer();
      this.#hooks.onWaiting(problem);
      if (this.#gotFrame || Date.now() - began > STABLE_MS) attempt = 0;
      await pauseBeforeRetry(attempt, backoffOptions, problem.retryAfterMs, signal);
    }
  }

  // The driver's context. Its callbacks do nothing after close().
  #context(quietMs, backoffOptions, reconnect) {
    const unlessClosed = (callback) => (...args) => this.#closed || callback(...args);
    const hooks = this.#hooks;
    return {
      ...this.#tools,
      after: hooks.after,
      onFrame: unlessClosed((frame) => {
        this.#gotFrame = true;
        this.#channel.brought(frame);
        this.#restartQuietTimer(quietMs);
        hooks.onFrame(frame);
      }),
      onRetained: unlessClosed(hooks.onRetained),
      onNotice: unlessClosed(hooks.onNotice),
      onBadFrame: unlessClosed(hooks.onBadFrame),
      onReset: unlessClosed(hooks.onReset),
      // The server's `retry` field is used unless the caller has set baseMs.
      onPace: unlessClosed((baseMs) => {
        backoffOptions.baseMs = reconnect?.baseMs ?? baseMs;
      }),
      onConnected: unlessClosed((how = {}) => {
        this.connected = true;
        this.#channel.joined();
        this.#restartQuietTimer(quietMs);
        hooks.onConnected(how);
      }),
      // The SDK connects again by itself.
      onWaiting: unlessClosed((error) => {
        this.connected = false;
        this.#startAwayTimer();
        hooks.onWaiting(error);
      }),
    };
  }

  // Attempts to connect that fail do not restart the timer.
  #startAwayTimer() {
    if (this.#away) return;
    this.#restartQuietTimer(AWAY_MS);
    this.#away = true;
  }

  // The interval is random, between half and one and a half times quietMs, so that readers do not ask at the same moment.
  #restartQuietTimer(quietMs) {
    this.#stopQuietTimer();
    this.#away = false;
    if (this.resumes || !quietMs) return;
    const checkAgain = () => {
      this.#restartQuietTimer(quietMs);
      this.#channel.check();
      this.#hooks.onQuiet();
    };
    this.#stopQuietTimer = startTimer(quietMs * (0.5 + Math.random()), checkAgain);
  }
}
