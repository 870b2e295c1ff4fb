// One reader of one stream: the transport in use, the going over to another, and what the caller is told.
import { accessTo } from './access.js';
import { backoff, pause } from './backoff.js';
import { Echo } from './echo.js';
import { failure, SealcastError } from './errors.js';
import { Link } from './link.js';
import { Sequencer } from './sequencer.js';

const SYSTEM = '00000000-0000-0000-0000-000000000000'; // as a sender
const MAX_OVERLAP_MS = 60_000;
const CANNOT_VERIFY = ['no_webcrypto', 'no_ed25519'];
const DEFAULTS = { quietMs: 60_000, overlapMs: 5000, migrateTimeoutMs: 15_000, spreadMs: 500 };

export class Subscription {
  #parts;
  #streamId;
  #handler;
  #options;
  #sequencer;
  #link; // the transport in use
  #next = null; // the one that takes over: {link, finish}
  #former = null; // the transport before the one in use
  #heading; // {name} of where it is, or is going
  #invitations = new Map(); // target → what the last transport_migrate said of it
  #unknown = new Set(); // targets without a driver
  #migrations = Promise.resolve(); // one after the other
  #superseded = new AbortController();
  #status = 'connecting';
  #stop = new AbortController();
  #finding = false;
  #settleReady;
  #echo = null;
  #handled = Promise.resolve(); // what the handler was given last

  constructor(parts, streamId, handler, options) {
    const { from, transport = parts.drivers.keys().next().value, channel = 'public', verify = false } = options;
    if (!['public', 'vip'].includes(channel)) throw new TypeError(`channel is public or vip, not ${channel}`);
    if (![false, true, 'keys'].includes(verify)) throw new TypeError(`verify is true, false or "keys", not ${verify}`);
    this.#parts = parts;
    this.#streamId = streamId;
    this.#handler = handler;
    this.#options = { ...DEFAULTS, ...options, channel };
    // Resolves when all that is sent from then on will be delivered.
    this.ready = new Promise((resolve, reject) => (this.#settleReady = { resolve, reject }));
    this.ready.catch(() => {}); // onStatus tells it too
    const { maxHeld, pageSize, patienceMs, reconnect } = options;
    this.#sequencer = new Sequencer({
      deliver: (frame) => this.#deliver(frame),
      dropped: (range) => this.#tell('onDropped', range),
      rewound: (to) => this.#rewound(to),
      history: (query) => parts.messages(streamId, { ...query, channel }),
      trouble: (error) => this.#trouble(error),
      maxHeld,
      pageSize,
      patienceMs,
      reconnect,
    });
    if (from !== undefined && from !== null) this.#sequencer.start(from);
    const driver = this.#driver(transport);
    if (channel === 'public') this.#listenToOwn();
    this.#link = this.#open(driver);
    this.#heading = { name: transport };
  }

  // The name of the transport in use.
  get transport() {
    return this.#link.name;
  }

  // The last offset that was handled; null before it is known where to begin.
  get offset() {
    return this.#sequencer.offset;
  }

  // connecting, live, reconnecting, failed or closed.
  get status() {
    return this.#status;
  }

  // Resolves when the transports have let go. No handler is called from now on; one that runs is left to end.
  close() {
    return this.#end('closed', failure('closed', 'the subscription is closed'));
  }

  // Goes over to another transport: both are read for `overlapMs`, then the old one is closed. Rejects, and stays with
  // the old one, when the other cannot connect or does not last so long. A later call replaces one under way.
  migrate(name, { overlapMs = this.#options.overlapMs } = {}) {
    this.#superseded.abort(failure('migration_superseded', `going over to ${name} instead`));
    const stop = (this.#superseded = new AbortController());
    if (this.#over) stop.abort(this.#stop.signal.reason);
    const heading = (this.#heading = { name });
    const migration = this.#migrations.then(() => this.#takeOver(name, overlapMs, stop));
    this.#migrations = migration.catch(() => {
      if (this.#heading === heading) this.#heading = { name: this.transport };
    });
    return migration;
  }

  async #takeOver(name, overlapMs, stop) {
    const { signal } = stop;
    if (signal.aborted) throw signal.reason;
    if (name === this.transport) return;
    const driver = this.#driver(name);
    const old = this.#link;
    const { migrateTimeoutMs } = this.#options;
    let link;
    try {
      await new Promise((connected, failed) => {
        link = this.#open(driver, { connected, failed });
        const late = () => failed(failure('timeout', `no connection within ${migrateTimeoutMs} ms`));
        pause(migrateTimeoutMs, signal).then(late, failed);
      });
      await new Promise((finish, failed) => {
        this.#next = { link, finish, failed };
        pause(overlapMs, signal).then(finish, failed);
      });
      this.#link = link;
      this.#former = old.name;
    } catch (error) {
      await link?.close();
      if (error === signal.reason || error.code === 'transport_refused') throw error;
      throw failure('migration_failed', `cannot go over from ${old.name} to ${name}: ${error.message}`, error);
    } finally {
      this.#next = null;
      stop.abort(); // the timers
    }
    this.#live(link);
    await old.close();
    await this.#tell('onTransport', name, old.name);
  }

  #driver(name) {
    const driver = this.#parts.drivers.get(name);
    if (driver) return driver;
    const known = [...this.#parts.drivers.keys()].join(', ');
    throw failure('transport_unknown', `there is no transport "${name}"; createClient() was given: ${known}`);
  }

  // `attempt` is there while the link is to take over.
  #open(driver, attempt) {
    const sequencer = this.#sequencer;
    const { channel, reconnect, quietMs } = this.#options;
    const hooks = {
      after: () => sequencer.offset,
      onFrame: (frame) => sequencer.push(frame),
      onBadFrame: (error) => this.#tell('onError', error),
      onReset: (offset) => (offset < sequencer.offset ? sequencer.rewind(offset) : sequencer.expect(offset)),
      onQuiet: () => sequencer.catchUp(),
      onConnected: (how) => {
        this.#connected(link, how);
        attempt?.connected();
      },
      onWaiting: (error) => {
        this.#tell('onError', error);
        if (link === this.#link) this.#setStatus(this.#status === 'live' ? 'reconnecting' : this.#status, error);
        if (link === this.#next?.link) this.#next.failed(error);
      },
      onFailed: (error) => {
        attempt?.failed(error);
        if (link === this.#next?.link) this.#next.failed(error);
        else if (link === this.#link && this.#next) this.#next.finish();
        else if (link === this.#link && error.code === 'transport_refused' && this.#former) this.#fallBack(error);
        else if (link === this.#link) this.#fail(error);
      },
    };
    const { http, ticket } = this.#parts;
    const tools = { channel, http, ticket, access: (tokens, signal) => this.#access(driver.name, tokens, signal) };
    const link = new Link(driver, this.#streamId, tools, hooks, { reconnect, quietMs });
    return link;
  }

  #access(transport, tokens, signal) {
    const { channel } = this.#options;
    const invitation = this.#invitations.get(transport);
    return accessTo(this.#parts.http, this.#streamId, { transport, channel, invitation, tokens, signal });
  }

  // The transport in use lets this reader in no more: back to the one before.
  #fallBack(error) {
    const refused = this.transport;
    this.#link = this.#open(this.#driver(this.#former));
    this.#former = null;
    this.#heading = { name: this.transport };
    this.#tell('onError', error);
    this.#setStatus('reconnecting', error);
    this.#tell('onTransport', this.transport, refused);
  }

  #connected(link, { offset, resumed = link.resumes }) {
    const sequencer = this.#sequencer;
    if (!sequencer.started && offset !== undefined) sequencer.start(offset);
    else if (!sequencer.started) return this.#findStart(link);
    else if (!resumed) sequencer.catchUp();
    this.#live(link);
  }

  #live(link) {
    if (link !== this.#link || !link.connected) return;
    this.#setStatus('live');
    this.#settleReady.resolve();
  }

  // A transport that does not say where the stream is: the history does.
  async #findStart(link) {
    if (this.#finding) return;
    this.#finding = true;
    const { signal } = this.#stop;
    for (let attempt = 0; !this.#over && !this.#sequencer.started; attempt++) {
      try {
        const { last } = await this.#parts.messages(this.#streamId, { limit: 1, signal });
        this.#sequencer.start(last);
      } catch (error) {
        if (!this.#over) this.#trouble(error);
        await pause(backoff(attempt, this.#options.reconnect, error.retryAfterMs), signal).catch(() => {});
      }
    }
    this.#finding = false;
    if (!this.#over) this.#live(link);
  }

  async #deliver(frame) {
    const { envelope } = frame;
    if (this.#options.verify && !(await this.#verified(frame))) return;
    if (envelope.t === 'transport_migrate' && envelope.s === SYSTEM) this.#follow(envelope.d ?? {});
    if (this.#echo?.isNew(envelope) ?? true) await this.#handle(frame);
  }

  // One after the other: an echo is no frame of the sequencer's.
  #handle(frame) {
    return (this.#handled = this.#handled.then(async () => {
      try {
        if (!this.#over) await this.#handler(frame);
      } catch (error) {
        this.#tell('onError', failure('handler_failed', `the handler failed at offset ${frame.offset}`, error));
      }
    }));
  }

  // What this client sends, and a storm leaves out of the public channel.
  #listenToOwn() {
    const { echoes } = this.#parts;
    const streamId = this.#streamId.toLowerCase();
    const echo = (this.#echo = new Echo((envelope) => this.#handle({ offset: null, prev: null, envelope })));
    const all = echoes.get(streamId) ?? new Set();
    echoes.set(streamId, all.add(echo));
    this.#stop.signal.addEventListener('abort', () => {
      all.delete(echo);
      if (all.size === 0) echoes.delete(streamId);
    });
  }

  #rewound(to) {
    this.#echo?.forget();
    return this.#tell('onRewound', to);
  }

  async #verified(frame) {
    const { signal } = this.#stop;
    const by = this.#options.verify === 'keys' ? 'keys' : 'server';
    for (let attempt = 0; !this.#over; attempt++) {
      try {
        let result = await this.#parts.verify(frame.envelope, { by, signal });
        // A true envelope of another stream is none of this one.
        if (result === 'ok' && frame.envelope.stream_id !== this.#streamId.toLowerCase()) result = 'wrong_stream';
        if (result === 'ok') return true;
        const message = `the envelope at offset ${frame.offset} does not verify: ${result}`;
        this.#tell('onError', Object.assign(failure('unverified', message), { frame }));
        return false;
      } catch (error) {
        if (CANNOT_VERIFY.includes(error.code)) this.#fail(error);
        else if (!this.#over) this.#tell('onError', error);
        if (error instanceof SealcastError && !error.retryable) return false;
        await pause(backoff(attempt, this.#options.reconnect, error.retryAfterMs), signal).catch(() => {});
      }
    }
    return false;
  }

  // The stream says where it goes on, and repeats it for who came late. Its readers do not all knock at the same moment.
  async #follow({ target, channel_id: channelId, token: ticket, overlap_ms: overlapMs = DEFAULTS.overlapMs }) {
    try {
      if (this.#unknown.has(target)) return;
      if (!this.#parts.drivers.has(target)) this.#unknown.add(target);
      this.#driver(target);
      this.#invitations.set(target, { channelId: textIn(channelId), ticket: textIn(ticket) });
      if (target === this.#heading.name) return;
      const heading = (this.#heading = { name: target });
      await pause(Math.random() * this.#options.spreadMs, this.#stop.signal);
      if (heading !== this.#heading) return; // it goes elsewhere by now
      await this.migrate(target, { overlapMs: Math.min(Math.max(Number(overlapMs) || 0, 0), MAX_OVERLAP_MS) });
    } catch (error) {
      if (!this.#over) this.#tell('onError', error);
    }
  }

  // A verdict ends the subscription, anything else may pass.
  #trouble(error) {
    if (error instanceof SealcastError && !error.retryable) this.#fail(error);
    else this.#tell('onError', error);
  }

  #fail(error) {
    this.#tell('onError', error);
    this.#end('failed', error);
  }

  async #end(status, reason) {
    if (!this.#over) {
      this.#stop.abort(reason);
      this.#sequencer.close();
      this.#superseded.abort(reason);
      this.#settleReady.reject(reason);
      this.#setStatus(status, reason);
    }
    await Promise.all([this.#link.close(), this.#migrations]);
  }

  get #over() {
    return this.#stop.signal.aborted;
  }

  #setStatus(status, error) {
    if (status === this.#status || (this.#over && status !== 'closed' && status !== 'failed')) return;
    this.#status = status;
    this.#tell('onStatus', status, error);
  }

  // Calls one of the caller's functions. What it throws is the caller's: it goes where uncaught errors go.
  async #tell(name, ...told) {
    try {
      if (this.#options[name]) await this.#options[name](...told);
      else if (told[0]?.code === 'handler_failed') throw told[0];
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

const textIn = (value) => (typeof value === 'string' && value !== '' ? value : undefined);
