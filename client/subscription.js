// One reader of one stream: its transport, its migration to another transport, and its status.
import { pause } from './backoff.js';
import { checkArgument, checkOptions, FUNCTION, MS, TEXT } from './check.js';
import { Delivery } from './delivery.js';
import { failure, SealcastError } from './errors.js';
import { FrameVerifier } from './frame_verifier.js';
import { Notices } from './notices.js';
import { SUBSCRIBE_OPTIONS } from './options.js';
import { parseResumePoint } from './resume_point.js';
import { Retained } from './retained.js';
import { Sequencer } from './sequencer.js';
import { StreamRules } from './stream_rules.js';
import { StreamState, stateOf } from './stream_state.js';
import { isSystemMessage } from './system_messages.js';
import { TargetPause } from './target_pause.js';
import { TransportConnection } from './transport_connection.js';
import { requestAccess } from './transport_token.js';

const MAX_OVERLAP_MS = 60_000;
const MAX_SPREAD_MS = 3_600_000;
const OLD_MS = 60_000; // a transport_migrate in the history that is older may no longer be in force
const DEFAULTS = { quietMs: 60_000, overlapMs: 5000, migrateTimeoutMs: 15_000, spreadMs: 500, channel: 'public', verify: false };

export class Subscription {
  #client;
  #streamId;
  #options;
  #sequencer;
  #delivery;
  #retained = new Retained((frame) => this.#handOver(frame));
  #connection; // of the transport in use
  #connecting = null; // while a migration connects: {failureOfOld}, the error with which the transport in use failed
  #waiting = null; // while the reader waits to follow a transport_migrate: {failureOfOld, begin}, which ends the wait
  #next = null; // during the overlap: {connection, finish, failed} of the new transport
  #previous = null; // the name of the transport before the one in use
  #destination; // {name} of the transport in use, or of the one that a migration under way goes to
  #announcedTarget = null; // of the newest transport_migrate message
  #followed = null; // the newest transport_migrate message that had its turn: {d, ts, inForce}
  #state; // the StreamState
  #unlearned = null; // the offset after which the subscription begins, until it has learned what held there
  #announcements = new Map(); // target → {channelId, needsToken} of the newest transport_migrate message
  #unknownTargets = new Set(); // reported once each
  #targetPause = new TargetPause();
  #migrations = Promise.resolve(); // migrations run one after the other
  #superseded = new AbortController();
  #status = 'connecting';
  #stop = new AbortController();
  #findingStart = false;
  #settleReady;
  #rules; // the StreamRules; null without onRules
  #notices; // null without onNotice

  constructor(client, streamId, handler, options) {
    checkArgument('subscribeStreamEvents()', 'streamId', streamId, TEXT);
    checkArgument('subscribeStreamEvents()', 'handler', handler, FUNCTION);
    this.#options = { ...DEFAULTS, ...checkOptions('subscribeStreamEvents()', options, SUBSCRIBE_OPTIONS) };
    const { from = null, transport = client.drivers.keys().next().value, channel } = this.#options;
    this.#client = client;
    this.#streamId = streamId;
    // Resolves when every message sent from then on will be delivered.
    this.ready = new Promise((resolve, reject) => (this.#settleReady = { resolve, reject }));
    this.ready.catch(() => {}); // onStatus reports the error too
    const { maxHeld, pageSize, patienceMs, reconnect } = this.#options;
    const { signal } = this.#stop;
    this.#state = new StreamState({ state: () => stateOf(client, streamId, { channel, signal }), reconnect, signal });
    this.#sequencer = new Sequencer({
      deliver: (frame) => this.#deliver(frame),
      arrived: (frame) => this.#delivery.arrived(frame),
      dropped: (range) => this.#dropped(range),
      rewound: (to) => this.#rewound(to),
      history: async (query) => this.#sawHistory(await client.history(streamId, { ...query, channel })),
      historyFailed: (error) => this.#historyFailed(error),
      maxHeld,
      pageSize,
      patienceMs,
      reconnect,
    });
    this.#delivery = this.#makeDelivery(handler);
    this.#rules = this.#options.onRules ? this.#makeRules() : null;
    this.#notices = this.#options.onNotice ? this.#makeNotices() : null;
    if (from !== null) {
      const { offset, epoch } = parseResumePoint(from);
      this.#sequencer.start(offset, epoch);
      this.#unlearned = offset;
    }
    const driver = this.#driver(transport);
    this.#listToClient();
    this.#stop.signal.addEventListener('abort', () => this.#targetPause.clear());
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
    this.#targetPause.clear(); // the application knows better than an earlier transport_migrate
    return this.#migrate(name, overlapMs);
  }

  // `failureOfOld` is the error with which the transport in use has failed already.
  #migrate(name, overlapMs, failureOfOld = null) {
    this.#superseded.abort(failure('migration_superseded', `a migration to ${name} replaces this one`));
    const stop = (this.#superseded = new AbortController());
    if (this.#over) stop.abort(this.#stop.signal.reason);
    const destination = (this.#destination = { name });
    const migration = this.#migrations.then(() => this.#runMigration(name, overlapMs, stop, failureOfOld));
    this.#migrations = migration.catch(() => {
      if (this.#destination === destination) this.#destination = { name: this.transport };
    });
    return migration;
  }

  async #runMigration(name, overlapMs, stop, failureOfOld) {
    const { signal } = stop;
    if (signal.aborted) throw signal.reason;
    if (name === this.transport) return;
    const driver = this.#driver(name);
    const old = this.#connection;
    const { migrateTimeoutMs } = this.#options;
    const connecting = (this.#connecting = { failureOfOld });
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
      onRetained: (frame) => sequencer.started || this.#retained.push(frame),
      onNotice: (envelope) => this.#notices?.handle(envelope),
      onBadFrame: (error) => this.#notify('onError', error),
      onSilent: (error) => this.#notify('onError', error),
      onReset: (offset, epoch = null) => {
        if (!sequencer.belongsTo(epoch)) sequencer.rewind(offset, epoch);
        else if (offset < sequencer.offset) sequencer.rewind(offset);
        else sequencer.expect(offset);
      },
      // While the connection is lost too: the stream may be on another transport.
      onQuiet: () => {
        if (!sequencer.started) this.#findStart(connection);
        else sequencer.catchUp();
        this.#learnStart();
      },
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
        else if (inUse && this.#waiting) this.#waiting.begin(error);
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
    if (this.#over) return;
    if (error.code === 'transport_refused' && this.#previous) this.#fallBack(error);
    else this.#fail(error);
  }

  // The transport in use refuses this reader from now on, so it returns to the transport before.
  #fallBack(error) {
    const refused = this.transport;
    this.#tryLater(refused);
    this.#connection = this.#connect(this.#driver(this.#previous));
    this.#previous = null;
    this.#destination = { name: this.transport };
    this.#notify('onError', error);
    this.#setStatus('reconnecting', error);
    this.#notify('onTransport', this.transport, refused);
  }

  #connected(connection, { offset, epoch = null, resumed = connection.resumes }) {
    const sequencer = this.#sequencer;
    this.#learnStart();
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

  // Asks for the newest offset and the retained messages, on a transport that does not bring them.
  async #findStart(connection) {
    if (this.#findingStart) return;
    this.#findingStart = true;
    const state = await this.#state.read({ isNeedless: () => this.#sequencer.started, failed: (error) => this.#historyFailed(error) });
    this.#findingStart = false;
    if (state) {
      this.#connection.sawHistory({ messages: [], last: state.last });
      if (!this.#sequencer.started) for (const frame of state.messages) this.#retained.push(frame);
      this.#sequencer.start(state.last, state.epoch);
    }
    if (!this.#over) this.#becomeLive(connection);
  }

  #learnStart() {
    this.#learn(this.#unlearned);
    this.#unlearned = null;
  }

  // Learns what holds in the stream from messages up to this offset, which no frame brings: where its readers are, and the
  // sampling rate. Without it the reader reads on.
  async #learn(through) {
    for (const frame of await this.#state.upTo(through, (error) => this.#notify('onError', error))) {
      const { t, d } = frame.envelope;
      if (!(await this.#delivery.accepts(frame)) || !this.#heed(frame, { inForce: true })) continue;
      if (t === 'sampling_update') this.#delivery.setRate(d.rate);
    }
  }

  // A transport that the stream has left is silent for a good reason.
  #sawHistory(page) {
    for (const { envelope } of page.messages) {
      if (isMigration(envelope)) this.#announcedTarget = envelope.d?.target;
    }
    if ((this.#announcedTarget ?? this.transport) === this.transport) this.#connection.sawHistory(page);
    return page;
  }

  async #deliver(frame) {
    await this.#retained.done;
    await this.#handOver(frame);
  }

  async #handOver(frame) {
    if (frame.gone) return this.#notify('onGone', frame);
    if (!(await this.#delivery.accepts(frame))) return;
    this.#heed(frame, { inForce: frame.retained === true });
    this.#rules?.handle(frame);
    await this.#delivery.deliver(frame);
  }

  // Returns null without the option `verify`.
  #makeVerifier(streamId) {
    const { verify, reconnect } = this.#options;
    const { signal } = this.#stop;
    const check = (envelope) => this.#client.verify(envelope, { by: verify === 'keys' ? 'keys' : 'server', signal });
    const hooks = { onError: (error) => this.#notify('onError', error), onFatal: (error) => this.#fail(error) };
    return verify ? new FrameVerifier(check, streamId, { reconnect, signal }, hooks) : null;
  }

  #makeNotices() {
    // A notice is of this stream, or of all streams.
    const verified = (envelope) => this.#makeVerifier(envelope.stream_id)?.verified({ envelope }) ?? true;
    const source = { streamId: this.#streamId, verified, signal: this.#stop.signal };
    return new Notices(source, { show: (notice) => this.#notify('onNotice', notice) });
  }

  // Follows a transport_migrate. Returns whether the frame is the newest that tells what holds in the stream.
  #heed(frame, { inForce }) {
    if (this.#over || !this.#state.isNews(frame)) return false;
    const { d, ts } = frame.envelope;
    if (isMigration(frame.envelope)) this.#follow((this.#followed = { d: d ?? {}, ts, inForce }));
    return true;
  }

  #makeDelivery(handler) {
    const { channel } = this.#options;
    const { signal } = this.#stop;
    const onError = (error) => this.#notify('onError', error);
    const verifier = this.#makeVerifier(this.#streamId);
    const hooks = { failed: onError, redacted: (redaction) => this.#notify('onRedacted', redaction) };
    const sequencer = this.#sequencer;
    return new Delivery({ streamId: this.#streamId, handler, verifier, sequencer, showOwn: channel === 'public', signal }, hooks);
  }

  // The client tells its subscriptions of the messages that it sends, and asks them for redactions.
  #listToClient() {
    const { deliveries } = this.#client;
    const streamId = this.#streamId.toLowerCase();
    const ofStream = deliveries.get(streamId) ?? new Set();
    deliveries.set(streamId, ofStream.add(this.#delivery));
    this.#stop.signal.addEventListener('abort', () => {
      ofStream.delete(this.#delivery);
      if (ofStream.size === 0) deliveries.delete(streamId);
    });
  }

  #makeRules() {
    const { signal } = this.#stop;
    const last = async () => (await this.#client.history(this.#streamId, { limit: 1, signal })).last;
    const rules = () => this.#client.rules(this.#streamId, { signal });
    const show = (inForce) => this.#delivery.call(() => this.#notify('onRules', inForce));
    const source = { ready: this.ready, last, rules, reconnect: this.#options.reconnect, signal };
    return new StreamRules(source, { show, failed: (error) => this.#notify('onError', error) });
  }

  #dropped(range) {
    this.#rules?.read();
    this.#learn(range.to);
    return this.#notify('onDropped', range);
  }

  #rewound(to) {
    this.#delivery.rewound(to);
    this.#rules?.rewound();
    this.#state.rewound();
    this.#targetPause.clear();
    this.#followed = null; // of a history that is void
    this.#learn(to.offset);
    return this.#notify('onRewound', to);
  }

  // Follows a transport_migrate message, again after a pause when that fails. A reader that has moved ignores it. Readers
  // wait for a random time, so that they do not all connect at the same moment. The more there are, the longer is the
  // spread of the message; a late joiner has the rest of it. `inForce`: the message is in the state of the stream. Another
  // old message reports no error: its transport may be long gone.
  async #follow({ d, ts, inForce }) {
    const { target, channel_id: channelId, token, overlap_ms: overlapMs = DEFAULTS.overlapMs } = d;
    const age = Date.now() - ts;
    const fullSpreadMs = within(d.spread_ms, MAX_SPREAD_MS);
    const spreadMs = inForce ? within(fullSpreadMs - age, fullSpreadMs) : fullSpreadMs;
    this.#announcedTarget = target;
    const isOld = !inForce && age > OLD_MS;
    try {
      if (this.#unknownTargets.has(target)) return;
      if (!isOld && !this.#client.drivers.has(target)) this.#unknownTargets.add(target);
      this.#driver(target);
      this.#announcements.set(target, { channelId: nonEmptyText(channelId), needsToken: token === 'required' });
      if (!this.#targetPause.allows(target) || target === this.#destination.name) return;
      const destination = (this.#destination = { name: target });
      const failureOfOld = await this.#waitInSpread(spreadMs);
      if (destination === this.#destination) await this.#migrate(target, within(overlapMs, MAX_OVERLAP_MS), failureOfOld);
      else if (failureOfOld) this.#failed(failureOfOld); // otherwise a later migration goes to another transport
    } catch (error) {
      if (this.#over) return;
      if (error.code === 'transport_refused' || error.code === 'migration_failed') this.#tryLater(target);
      if (isOld) return;
      this.#notify('onError', error);
    }
  }

  // Unless another transport_migrate comes before, or the application calls migrate().
  #tryLater(target) {
    this.#targetPause.failed(target, () => {
      if (this.#followed?.d.target !== target) return;
      this.#follow({ ...this.#followed, d: { ...this.#followed.d, spread_ms: 0 } }); // the pauses spread the readers
    });
  }

  // Waits for a random part of the time. If the transport in use fails for good meanwhile, resolves with its error at once.
  async #waitInSpread(spreadMs) {
    const waiting = { failureOfOld: null };
    const failed = new Promise((resolve) => {
      waiting.begin = (error) => resolve((waiting.failureOfOld = error));
    });
    this.#waiting = waiting;
    await Promise.race([pause(Math.random() * Math.max(this.#options.spreadMs, spreadMs), this.#stop.signal), failed]);
    if (this.#waiting === waiting) this.#waiting = null;
    return waiting.failureOfOld;
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

const isMigration = (envelope) => isSystemMessage(envelope, 'transport_migrate');
const within = (value, max) => Math.min(Math.max(Number(value) || 0, 0), max);
const nonEmptyText = (value) => (typeof value === 'string' && value !== '' ? value : undefined);
