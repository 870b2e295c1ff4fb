// One reader of one stream: its transport, its migration to another transport, and the calls of the caller's functions.
import { pause, pauseBeforeRetry } from './backoff.js';
import { checkArgument, checkOptions, FUNCTION, MS, TEXT } from './check.js';
import { failure, SealcastError } from './errors.js';
import { SUBSCRIBE_OPTIONS } from './options.js';
import { OwnMessages } from './own_messages.js';
import { parseResumePoint } from './resume_point.js';
import { Sequencer } from './sequencer.js';
import { TargetPause } from './target_pause.js';
import { TransportConnection } from './transport_connection.js';
import { requestAccess } from './transport_token.js';

const SYSTEM_SENDER = '00000000-0000-0000-0000-000000000000';
const MAX_OVERLAP_MS = 60_000;
const CANNOT_VERIFY = ['no_webcrypto', 'no_ed25519'];
const OLD_MS = 60_000; // an older transport_migrate is repeated if it is still in force
const DEFAULTS = { quietMs: 60_000, overlapMs: 5000, migrateTimeoutMs: 15_000, spreadMs: 500, channel: 'public', verify: false };

export class Subscription {
  #client;
  #streamId;
  #handler;
  #options;
  #sequencer;
  #connection; // of the transport in use
  #connecting = null; // while a migration connects: {failureOfOld}, the error with which the transport in use failed
  #next = null; // during the overlap: {connection, finish, failed} of the new transport
  #previous = null; // the name of the transport before the one in use
  #destination; // {name} of the transport in use, or of the one that a migration under way goes to
  #announcements = new Map(); // target → {channelId, needsToken} of the newest transport_migrate message
  #unknownTargets = new Set(); // reported once each
  #targetPause = new TargetPause();
  #migrations = Promise.resolve(); // migrations run one after the other
  #superseded = new AbortController();
  #status = 'connecting';
  #stop = new AbortController();
  #findingStart = false;
  #settleReady;
  #ownMessages = null;
  #handled = Promise.resolve(); // the last call of the handler

  constructor(client, streamId, handler, options) {
    checkArgument('subscribeStreamEvents()', 'streamId', streamId, TEXT);
    checkArgument('subscribeStreamEvents()', 'handler', handler, FUNCTION);
    this.#options = { ...DEFAULTS, ...checkOptions('subscribeStreamEvents()', options, SUBSCRIBE_OPTIONS) };
    const { from = null, transport = client.drivers.keys().next().value, channel } = this.#options;
    this.#client = client;
    this.#streamId = streamId;
    this.#handler = handler;
    // Resolves when every message sent from then on will be delivered.
    this.ready = new Promise((resolve, reject) => (this.#settleReady = { resolve, reject }));
    this.ready.catch(() => {}); // onStatus reports the error too
    const { maxHeld, pageSize, patienceMs, reconnect } = this.#options;
    this.#sequencer = new Sequencer({
      deliver: (frame) => this.#deliver(frame),
      dropped: (range) => this.#notify('onDropped', range),
      rewound: (to) => this.#rewound(to),
      history: (query) => client.messages(streamId, { ...query, channel }),
      historyFailed: (error) => this.#historyFailed(error),
      maxHeld,
      pageSize,
      patienceMs,
      reconnect,
    });
    if (from !== null) {
      const { offset, epoch } = parseResumePoint(from);
      this.#sequencer.start(offset, epoch);
    }
    const driver = this.#driver(transport);
    if (channel === 'public') this.#showOwnMessages();
    this.#connection = this.#connect(driver);
    this.#destination = { name: transport };
  }

  // The name of the transport in use.
  get transport() {
    return this.#connection.name;
  }

  // The last offset that was handled. It is null until the first offset is known.
  get offset() {
    return this.#sequencer.offset;
  }

  // What to pass as `from` to continue here later: EPOCH:OFFSET. It is null until the first offset is known.
  get resumePoint() {
    return this.#sequencer.resumePoint;
  }

  // connecting, live, reconnecting, failed or closed.
  get status() {
    return this.#status;
  }

  // Resolves when the transports are closed. The handler is not called again, but a running call is not interrupted.
  close() {
    return this.#end('closed', failure('closed', 'the subscription is closed'));
  }

  // Moves to another transport: both are read for `overlapMs`, and then the old one is closed. Rejects and keeps the old
  // transport when the new one cannot connect, or is lost during the overlap. A later call replaces an earlier one.
  migrate(name, options = {}) {
    checkArgument('migrate()', 'transport', name, TEXT);
    const { overlapMs = this.#options.overlapMs } = checkOptions('migrate()', options, { overlapMs: MS });
    this.#superseded.abort(failure('migration_superseded', `a migration to ${name} replaces this one`));
    const stop = (this.#superseded = new AbortController());
    if (this.#over) stop.abort(this.#stop.signal.reason);
    const destination = (this.#destination = { name });
    const migration = this.#migrations.then(() => this.#runMigration(name, overlapMs, stop));
    this.#migrations = migration.catch(() => {
      if (this.#destination === destination) this.#destination = { name: this.transport };
    });
    return migration;
  }

  async #runMigration(name, overlapMs, stop) {
    const { signal } = stop;
    if (signal.aborted) throw signal.reason;
    if (name === this.transport) return;
    const driver = this.#driver(name);
    const old = this.#connection;
    const { migrateTimeoutMs } = this.#options;
    const connecting = (this.#connecting = { failureOfOld: null });
    let connection;
    try {
      await new Promise((connected, failed) => {
        connection = this.#connect(driver, { connected, failed });
        const timeOut = () => failed(failure('timeout', `no connection within ${migrateTimeoutMs} ms`));
        pause(migrateTimeoutMs, signal).then(timeOut, failed);
      });
      await new Promise((finish, failed) => {
        this.#connecting = null;
        this.#next = { connection, finish, failed };
        if (connecting.failureOfOld) finish();
        else pause(overlapMs, signal).then(finish, failed);
      });
      this.#connection = connection;
      this.#previous = old.name;
      this.#targetPause.clear();
    } catch (error) {
      await connection?.close();
      this.#connecting = null;
      if (connecting.failureOfOld) this.#failed(connecting.failureOfOld);
      if (error === signal.reason || error.code === 'transport_refused') throw error;
      throw failure('migration_failed', `cannot migrate from ${old.name} to ${name}: ${error.message}`, error);
    } finally {
      this.#next = null;
      stop.abort(); // ends the timers
    }
    this.#becomeLive(connection);
    await old.close();
    await this.#notify('onTransport', name, old.name);
  }

  #driver(name) {
    const driver = this.#client.drivers.get(name);
    if (driver) return driver;
    const known = [...this.#client.drivers.keys()].join(', ');
    throw failure('transport_unknown', `unknown transport "${name}"; the transports given to createClient(): ${known}`);
  }

  // `attempt` is {connected, failed} while a migration waits for the connection.
  #connect(driver, attempt) {
    const sequencer = this.#sequencer;
    const { channel, reconnect, quietMs } = this.#options;
    const hooks = {
      after: () => sequencer.resumePoint,
      onFrame: (frame) => sequencer.push(frame),
      onBadFrame: (error) => this.#notify('onError', error),
      onReset: (offset, epoch = null) => {
        if (!sequencer.belongsTo(epoch)) sequencer.rewind(offset, epoch);
        else if (offset < sequencer.offset) sequencer.rewind(offset);
        else sequencer.expect(offset);
      },
      onQuiet: () => sequencer.started && sequencer.catchUp(),
      onConnected: (how) => {
        this.#connected(connection, how);
        attempt?.connected();
      },
      onWaiting: (error) => {
        this.#notify('onError', error);
        const inUse = connection === this.#connection;
        if (inUse) this.#setStatus(this.#status === 'live' ? 'reconnecting' : this.#status, error);
        if (connection === this.#next?.connection) this.#next.failed(error);
      },
      onFailed: (error) => {
        const inUse = connection === this.#connection;
        attempt?.failed(error);
        if (connection === this.#next?.connection) this.#next.failed(error);
        else if (inUse && this.#next) this.#next.finish();
        else if (inUse && this.#connecting) this.#connecting.failureOfOld = error; // the migration decides what to do
        else if (inUse) this.#failed(error);
      },
    };
    const { http, ticket } = this.#client;
    const tools = { channel, http, ticket, access: (tokens, signal) => this.#access(driver.name, tokens, signal) };
    const connection = new TransportConnection(driver, this.#streamId, tools, hooks, { reconnect, quietMs });
    return connection;
  }

  #access(transport, tokens, signal) {
    const { channel } = this.#options;
    const announcement = this.#announcements.get(transport);
    return requestAccess(this.#client.http, this.#streamId, { transport, channel, announcement, tokens, signal });
  }

  // The transport in use has failed for good, and no migration to another one is under way.
  #failed(error) {
    if (error.code === 'transport_refused' && this.#previous) this.#fallBack(error);
    else this.#fail(error);
  }

  // The transport in use refuses this reader from now on, so it returns to the transport before.
  #fallBack(error) {
    const refused = this.transport;
    this.#targetPause.failed(refused);
    this.#connection = this.#connect(this.#driver(this.#previous));
    this.#previous = null;
    this.#destination = { name: this.transport };
    this.#notify('onError', error);
    this.#setStatus('reconnecting', error);
    this.#notify('onTransport', this.transport, refused);
  }

  #connected(connection, { offset, epoch = null, resumed = connection.resumes }) {
    const sequencer = this.#sequencer;
    if (sequencer.started) sequencer.belongsTo(epoch); // a driver that resumes reports another epoch as a reset
    if (!sequencer.started && offset !== undefined) sequencer.start(offset, epoch);
    else if (!sequencer.started) return this.#findStart(connection);
    else if (!resumed) sequencer.catchUp();
    this.#becomeLive(connection);
  }

  #becomeLive(connection) {
    if (connection !== this.#connection || !connection.connected) return;
    this.#setStatus('live');
    this.#settleReady.resolve();
  }

  // Asks the history for the newest offset, on a transport that does not tell it.
  async #findStart(connection) {
    if (this.#findingStart) return;
    this.#findingStart = true;
    const { signal } = this.#stop;
    for (let attempt = 0; !this.#over && !this.#sequencer.started; attempt++) {
      try {
        const { last, epoch } = await this.#client.messages(this.#streamId, { limit: 1, signal });
        this.#sequencer.start(last, epoch);
      } catch (error) {
        if (!this.#over) this.#historyFailed(error);
        await pauseBeforeRetry(attempt, this.#options.reconnect, error.retryAfterMs, signal);
      }
    }
    this.#findingStart = false;
    if (!this.#over) this.#becomeLive(connection);
  }

  async #deliver(frame) {
    if (frame.gone) return this.#notify('onGone', frame);
    const { envelope } = frame;
    if (this.#options.verify && !(await this.#verified(frame))) return;
    if (envelope.t === 'transport_migrate' && envelope.s === SYSTEM_SENDER) this.#follow(envelope);
    if (this.#ownMessages?.isNew(envelope) ?? true) await this.#handle(frame);
  }

  // Calls the handler, one call after the other. The sequencer does not do this for own messages, which have no frame.
  #handle(frame) {
    return (this.#handled = this.#handled.then(async () => {
      try {
        if (!this.#over) await this.#handler(frame);
      } catch (error) {
        this.#notify('onError', failure('handler_failed', `the handler failed at offset ${frame.offset}`, error));
      }
    }));
  }

  // Shows the messages that this client sends and a chat storm leaves out of the public channel.
  #showOwnMessages() {
    const { ownMessages } = this.#client;
    const streamId = this.#streamId.toLowerCase();
    const own = (this.#ownMessages = new OwnMessages((envelope) => this.#handle({ offset: null, prev: null, envelope })));
    const ofStream = ownMessages.get(streamId) ?? new Set();
    ownMessages.set(streamId, ofStream.add(own));
    this.#stop.signal.addEventListener('abort', () => {
      ofStream.delete(own);
      if (ofStream.size === 0) ownMessages.delete(streamId);
    });
  }

  #rewound(to) {
    this.#ownMessages?.forget();
    return this.#notify('onRewound', to);
  }

  async #verified(frame) {
    const { signal } = this.#stop;
    const by = this.#options.verify === 'keys' ? 'keys' : 'server';
    for (let attempt = 0; !this.#over; attempt++) {
      try {
        let result = await this.#client.verify(frame.envelope, { by, signal });
        // An envelope of another stream has a valid signature too, but does not belong here.
        if (result === 'ok' && frame.envelope.stream_id !== this.#streamId.toLowerCase()) result = 'wrong_stream';
        if (result === 'ok') return true;
        const message = `the envelope at offset ${frame.offset} does not verify: ${result}`;
        this.#notify('onError', Object.assign(failure('unverified', message), { frame }));
        return false;
      } catch (error) {
        const foreign = error.code === 'unexpected_answer' && !error.retryable;
        if (foreign || CANNOT_VERIFY.includes(error.code)) this.#fail(error);
        else if (!this.#over) this.#notify('onError', error);
        if (error instanceof SealcastError && !error.retryable) return false;
        await pauseBeforeRetry(attempt, this.#options.reconnect, error.retryAfterMs, signal);
      }
    }
    return false;
  }

  // Follows a transport_migrate message. The server repeats the message for readers that come later: a reader that has
  // moved ignores it, and one that the target refused pauses between its attempts. Readers wait for a random time, so
  // that they do not all connect at the same moment.
  // An old message reports no error: its transport may be long gone.
  async #follow({ d, ts }) {
    const { target, channel_id: channelId, token, overlap_ms: overlapMs = DEFAULTS.overlapMs } = d ?? {};
    const isOld = ts < Date.now() - OLD_MS;
    try {
      if (this.#unknownTargets.has(target)) return;
      if (!isOld && !this.#client.drivers.has(target)) this.#unknownTargets.add(target);
      this.#driver(target);
      this.#announcements.set(target, { channelId: nonEmptyText(channelId), needsToken: token === 'required' });
      if (!this.#targetPause.allows(target) || target === this.#destination.name) return;
      const destination = (this.#destination = { name: target });
      await pause(Math.random() * this.#options.spreadMs, this.#stop.signal);
      if (destination !== this.#destination) return; // a later migration goes to another transport
      await this.migrate(target, { overlapMs: Math.min(Math.max(Number(overlapMs) || 0, 0), MAX_OVERLAP_MS) });
    } catch (error) {
      if (this.#over) return;
      // Not after migration_failed: the target may be back at the next repeat, and the repeats may end soon.
      if (error.code === 'transport_refused') this.#targetPause.failed(target);
      if (isOld) return;
      this.#notify('onError', error);
    }
  }

  // A refusal ends the subscription. Other errors are only reported, since a retry may succeed.
  #historyFailed(error) {
    if (error instanceof SealcastError && !error.retryable) this.#fail(error);
    else this.#notify('onError', error);
  }

  #fail(error) {
    this.#notify('onError', error);
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
    await Promise.all([this.#connection.close(), this.#migrations]);
  }

  get #over() {
    return this.#stop.signal.aborted;
  }

  #setStatus(status, error) {
    if (status === this.#status || (this.#over && status !== 'closed' && status !== 'failed')) return;
    this.#status = status;
    this.#notify('onStatus', status, error);
  }

  // Calls one of the caller's functions. An error that it throws is an uncaught error of the caller's, and so is an error
  // of the handler when there is no onError.
  async #notify(name, ...args) {
    try {
      if (this.#options[name]) await this.#options[name](...args);
      else if (args[0]?.code === 'handler_failed') throw args[0];
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

const nonEmptyText = (value) => (typeof value === 'string' && value !== '' ? value : undefined);
