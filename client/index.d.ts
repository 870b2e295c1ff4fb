// The types of sealcast-client. ../docs/client.md describes the API.

/** A sealed message; docs/envelope.md describes the members. */
export interface Envelope<D = Record<string, unknown>> {
  v: 1;
  kid: string;
  t: string;
  stream_id: string;
  s: string;
  ts: number;
  txn_id: string;
  d: D;
  sig: string;
  held?: undefined;
}

/** A message whose content was redacted. The signature covers `payload_hash`, so it still proves who sent what hash when. */
export interface RedactedEnvelope extends Omit<Envelope, 'd'> {
  d: null;
  /** The SHA-256 of the content. Missing if this client left the content out and could not hash it: without crypto.subtle. */
  payload_hash?: string;
}

/** A message that waits for a moderator. Sending it again under its `txn_id` tells the outcome. */
export interface HeldMessage {
  held: true;
  code: 'held';
  message: string;
  txn_id: string;
  /** Whether it was held before. */
  replayed: boolean;
}

/** The user's own message that a chat storm leaves out of the public channel. It has no offset on that channel. */
export interface Echo<D = Record<string, unknown>> {
  offset: null;
  prev: null;
  envelope: Envelope<D>;
  redacted?: undefined;
}

export interface Frame<D = Record<string, unknown>> {
  offset: number;
  /** The offset of the frame before this one on the same channel (public or vip). */
  prev: number;
  envelope: Envelope<D>;
  redacted?: undefined;
  /**
   * A retained message, for example the rules of the stream, that was sent before the subscription began. The handler gets
   * these first. Their offsets are below those of all other frames.
   */
  retained?: true;
}

/** A frame whose message was redacted before the application got it. */
export interface RedactedFrame {
  offset: number;
  prev: number;
  envelope: RedactedEnvelope;
  /** `by`: the user who redacted it; null: the operator. `at`: when, in Unix milliseconds. */
  redacted: { by: string | null; at: number | null; reason: string | null };
}

/** The user's own message, as in Echo, that was redacted before the application got it. */
export interface RedactedEcho extends Omit<RedactedFrame, 'offset' | 'prev'> {
  offset: null;
  prev: null;
}

/**
 * Messages that the application may have lost their content: one message, or messages of one user (a purge).
 * `covers(redaction, frame)` tells whether a message is among them.
 */
export interface Redaction {
  /** The sender of the messages. */
  senderId: string;
  /** The txn_id of the message. Null for a purge. */
  txnId: string | null;
  /** A purge: the first and the last `ts` of the messages, in Unix milliseconds. Null for one message. */
  since: number | null;
  through: number | null;
  /** A purge: the messages have offsets below this one. Null for one message. */
  before: number | null;
  /** Offsets of the messages as far as known; for a purge, those among the last 1000 messages that the handler got. */
  offsets: number[];
  /** The user who redacted the messages; null: the operator. */
  by: string | null;
  /** When, in Unix milliseconds. */
  at: number;
  reason: string | null;
}

/** The message is gone, for example erased. Its offset stays, so that it is no gap. */
export interface GoneFrame {
  offset: number;
  prev: number;
  gone: true;
}

/** An offset, or EPOCH:OFFSET: the offset in an epoch of the stream's log. A restored database begins another epoch. */
export type ResumePoint = string | number;

export interface Page {
  messages: (Frame | RedactedFrame | GoneFrame)[];
  first: number;
  last: number;
  /** The epoch in which the offsets of this page are valid. */
  epoch: string;
  /** `after` or `before` named another epoch. With `after`, the page begins with the oldest message that is kept. */
  reset?: true;
  /** The page ends because of its size, not because of `limit`. */
  more?: true;
}

/** A JSON Web Key Set (RFC 7517). Only keys with kty OKP and crv Ed25519 are used. */
export interface PublicKeySet {
  keys: { kty: string; crv?: string; kid?: string; x?: string; [member: string]: unknown }[];
}

/** redacted: the signature is valid, and the content is gone. */
export type VerifyResult = 'ok' | 'redacted' | 'malformed' | 'unknown_kid' | 'bad_signature' | 'from_future';

export interface Backoff {
  /** Upper bound of the first pause; it doubles with each attempt. Default 250, or the `retry` field of the event stream. */
  baseMs?: number;
  /** Upper bound of every pause, without the spread. Default 10000. */
  capMs?: number;
  /** A random time up to this is added to every pause. Default 500. */
  spreadMs?: number;
}

export class SealcastError extends Error {
  constructor(
    code: string,
    message: string,
    more?: {
      status?: number;
      details?: string | null;
      hint?: string | null;
      retryAfterMs?: number | null;
      cause?: unknown;
    },
  );
  /** HTTP status; 0 when no answer came. */
  status: number;
  code: string;
  details: string | null;
  hint: string | null;
  retryAfterMs: number | null;
  cause?: unknown;
  /** Set by sendMessage(): use this txn_id to send the same message again. */
  txnId?: string;
  /** Set for the code `unverified`: the frame that was left out. */
  frame?: Frame | RedactedFrame;
  /** Whether a retry may succeed: true for status 0, 408, 425, 429, 5xx, and a 404 that is not from Sealcast. */
  readonly retryable: boolean;
}

export interface ClientOptions {
  url: string | URL;
  /** Addresses to use when a region does not answer, or true to ask the server at `url` for them. Default: no others. */
  regions?: (string | URL)[] | true;
  /** A session token. */
  token?: string | null;
  /** Returns a session token, instead of `token`. `refresh` is true when the server has refused the last one. */
  getToken?: (options: { refresh: boolean }) => string | null | undefined | Promise<string | null | undefined>;
  fetch?: typeof globalThis.fetch;
  /** How long to wait for an answer of the server. Default 15000. */
  timeoutMs?: number;
  /** Whether to follow a wrong_cell answer to another cell. The request there carries the session token. Default true. */
  followCells?: boolean;
  /** The public keys for `verify: 'keys'` and `by: 'keys'`. Default: the keys that the server publishes. */
  publicKeys?: PublicKeySet;
  /** A subscription uses the first one unless it names another. Default [sse()]. */
  transports?: Driver[];
  /** The pauses between the attempts of sendMessage(). */
  retry?: Backoff;
  /** How many messages to one stream may be without an answer; a further one is rejected with queue_full. Default 100. */
  maxQueued?: number;
}

export interface SendOptions {
  /** A UUID. Default: a new one. */
  txnId?: string;
  signal?: AbortSignal | null;
  /** No attempt begins later than this after the call. Default 60000. */
  giveUpAfterMs?: number;
}

export interface ReportOptions {
  /** Why, in the user's words: at most 500 characters. */
  reason?: string | null;
  /** A name that the application chooses, for example spam: [a-z][a-z0-9_]{0,31}. */
  category?: string | null;
  signal?: AbortSignal | null;
}

export interface RestrictOptions {
  /** The end: a Date or Unix milliseconds. Default null: forever. */
  until?: Date | number | null;
  /** For the user: at most 500 characters. */
  reason?: string | null;
  /** For moderators: at most 500 characters. */
  note?: string | null;
  /** Also redact the messages that the user has sent to the stream within so many milliseconds. */
  purgeMs?: number | null;
  signal?: AbortSignal | null;
}

/** The rules of a stream; docs/sql.md describes them. A stream without rules has null, 'everyone' and null. */
export interface StreamRules {
  /** A user waits so many seconds between two messages; null: no slow mode. */
  slow_mode_s: number | null;
  /** 'members': users with any role. A list: users with one of these roles. */
  senders: 'everyone' | 'members' | string[];
  /** Only messages of these types; null: all. */
  types: string[] | null;
  /** A message of a user who has none in the stream waits for a moderator. */
  hold_first: boolean;
  /** The most characters of the text of a message; null: no such rule. */
  max_chars: number | null;
  /** A list: only users with one of these roles send links. */
  links: 'everyone' | 'none' | string[];
  /** Messages have no text but emoji and names of emotes. */
  emote_only: boolean;
  /** A user does not repeat a text within so many seconds; null: no such rule. */
  unique_s: number | null;
  /** At most so many users send the same text within raid_within_s; null: no such rule. */
  raid_copies: number | null;
  raid_within_s: number | null;
  /** Message type → messages per second of one user; null: no such rule. */
  rate: Record<string, number> | null;
  /** Rules of later versions of the server. */
  [rule: string]: unknown;
}

/** What has changed for the user. A notice states how things are, so it may come more than once. */
export interface Notice {
  kind:
    | 'muted'
    | 'unmuted'
    | 'banned'
    | 'unbanned'
    | 'role_changed'
    | 'stream_closed'
    | 'stream_closes'
    | 'stream_reopened'
    | 'stream_private'
    | 'stream_public'
    | 'stream_deleted'
    | (string & {});
  /** null: in all streams. */
  streamId: string | null;
  /** null: the notice is to all users who read the stream. */
  userId: string | null;
  /** When the restriction ends or the stream closes, in Unix milliseconds of the server's clock; null: no end is set. */
  until: number | null;
  /** The moderator's reason for the user. */
  reason: string | null;
  /** With role_changed: the role; null: none. */
  role: string | null;
  /** The restriction has come to its end by its time. `envelope` is that of the notice that told of it. */
  ended: boolean;
  envelope: Envelope;
}

/** A message that waits for a moderator. Times are ISO 8601. docs/held.md describes the members. */
export interface WaitingMessage {
  held_id: string;
  sender_id: string;
  txn_id: string;
  t: string;
  d: Record<string, unknown>;
  held_by: 'term' | 'rule' | 'hook';
  term_id: string | null;
  detail: string | null;
  held_at: string;
  expires_at: string;
}

/** A reported message. Times are ISO 8601. docs/reports.md describes the members. */
export interface ReportCase {
  offset: number;
  reporters: number;
  /** Category → number of reports; 'none' for those without one. */
  categories: Record<string, number>;
  reasons: string[];
  first_reported_at: string;
  last_reported_at: string;
  /** The message as it was at the first report. */
  envelope: Envelope | RedactedEnvelope;
  outcome: 'dismissed' | 'acted' | null;
  resolved_at: string | null;
  resolved_by: string | null;
}

/** An entry of the moderation log; docs/reports.md lists the acts. */
export interface LogEntry {
  entry_id: string;
  logged_at: string;
  act: string;
  stream_id: string | null;
  user_id: string | null;
  actor_id: string | null;
  actor_rank: string;
  reason: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export type TermKind = 'literal' | 'wildcard' | 'pattern';
export type TermAction = 'refuse' | 'hold' | 'mask' | 'flag';

export interface BlockedTerm {
  term_id: string;
  stream_id: string | null;
  term: string;
  kind: TermKind;
  whole_word: boolean;
  action: TermAction;
  created_at: string;
  created_by: string | null;
}

/** A message that blocked terms have flagged or refused. It has no text. */
export interface TermHit {
  hit_id: string;
  at: string;
  stream_id: string;
  sender_id: string;
  txn_id: string;
  t: string;
  term_id: string;
  action: TermAction;
}

/** For a request that can be aborted. */
export interface CallOptions {
  signal?: AbortSignal | null;
}

export type Status = 'connecting' | 'live' | 'reconnecting' | 'failed' | 'closed';

export interface SubscribeOptions {
  /** Begin after this resume point; 0 = from the beginning. Default: begin with the next message. */
  from?: ResumePoint | null;
  /** The name of the first transport. Default: the first of `transports`. */
  transport?: string;
  /** vip carries every message, even in a chat storm, to users with a role in the stream. Default public. */
  channel?: 'public' | 'vip';
  onStatus?: (status: Status, error?: SealcastError) => void;
  onTransport?: (transport: string, previous: string) => void;
  /** Retention deleted these frames before the reader got them. */
  onDropped?: (range: { from: number; to: number }) => void | Promise<void>;
  /** These messages are gone, for example erased. The handler is not called for them, and the position moves on. */
  onGone?: (frame: GoneFrame) => void | Promise<void>;
  /** Messages that the application may have were redacted. Called once for each redaction, and not during a handler call. */
  onRedacted?: (redaction: Redaction) => void | Promise<void>;
  /** Called with the rules of the stream that are in force, once they are known, and with all rules after each change. */
  onRules?: (rules: StreamRules) => void | Promise<void>;
  /**
   * Called with each notice to the session's user: what has changed for the user in this stream or in all streams. Notices come
   * over the transport `sse` alone, to a subscription with a session.
   */
  onNotice?: (notice: Notice) => void | Promise<void>;
  /** The database was restored from a dump; the stream continues after this offset, and messages may come again. */
  onRewound?: (to: { offset: number }) => void | Promise<void>;
  onError?: (error: SealcastError) => void;
  /** Verify each envelope: ask the server (true), or use public keys ('keys'). An invalid one is reported and left out. */
  verify?: boolean | 'keys';
  /** The pauses before a new connection, and between requests to the history. */
  reconnect?: Backoff;
  /** How long a migration reads both transports, unless transport_migrate or migrate() says otherwise. Default 5000. */
  overlapMs?: number;
  /** How long the new transport may take to connect in a migration. Default 15000. */
  migrateTimeoutMs?: number;
  /** Read the history after about this time without a frame, on transports that do not resume. 0 = never. Default 60000. */
  quietMs?: number;
  /** How long to wait for a missing frame before it is read from the history. Default 150. */
  patienceMs?: number;
  /** The maximum number of frames that wait for the handler, or for a missing frame. Default 1000. */
  maxHeld?: number;
  /** The number of messages in one request to the history, at most 500. Default 200. */
  pageSize?: number;
  /** Readers follow transport_migrate after a random time up to this, or up to its `spread_ms` if that is longer. Default 500. */
  spreadMs?: number;
}

export interface Subscription {
  /** Resolves when every message sent from then on will be delivered. */
  readonly ready: Promise<void>;
  readonly transport: string;
  readonly offset: number | null;
  /** What to keep, and to pass as `from` later: EPOCH:OFFSET. Null until the first offset is known. */
  readonly resumePoint: string | null;
  readonly status: Status;
  migrate(transport: string, options?: { overlapMs?: number }): Promise<void>;
  close(): Promise<void>;
}

export interface Client {
  /** The address of the region that requests go to. */
  readonly region: string;
  /**
   * Resolves with a HeldMessage when the message waits for a moderator: test `held`.
   * Resolves with a redacted envelope when an earlier attempt with the same `txnId` had sent it and it was redacted since.
   */
  sendMessage<D extends object>(
    streamId: string,
    type: string,
    d: D,
    options?: SendOptions,
  ): Promise<Envelope<D> | RedactedEnvelope | HeldMessage>;
  subscribeStreamEvents<D = Record<string, unknown>>(
    streamId: string,
    handler: (frame: Frame<D> | Echo<D> | RedactedFrame | RedactedEcho) => void | Promise<void>,
    options?: SubscribeOptions,
  ): Subscription;
  messages(
    streamId: string,
    query?: { after?: ResumePoint; before?: ResumePoint; limit?: number; channel?: 'public' | 'vip'; signal?: AbortSignal },
  ): Promise<Page>;
  /**
   * The retained messages of the stream. A subscription that begins with the next message hands them over by itself. One
   * with `from` does not.
   */
  state(
    streamId: string,
    options?: { channel?: 'public' | 'vip'; signal?: AbortSignal },
  ): Promise<{ messages: Frame[]; last: number; epoch: string }>;
  /** Asks the server (by: 'server', the default), or verifies here with public keys (by: 'keys'). */
  verify(envelope: Envelope | RedactedEnvelope | string, options?: { by?: 'server' | 'keys'; signal?: AbortSignal }): Promise<VerifyResult>;
  /** Reports a message to the moderators of the stream. Resolves with false when the user has reported it before. */
  report(streamId: string, offset: number, options?: ReportOptions): Promise<boolean>;
  /**
   * Redacts one message: as a moderator of the stream, or as its sender for a while. Without `senderId` it is a message of
   * the session's user. Resolves with false when the message was redacted before.
   */
  redact(
    streamId: string,
    message: { offset: number; txnId?: never; senderId?: never } | { txnId: string; senderId?: string; offset?: never },
    reason?: string | null,
  ): Promise<boolean>;
  /** Redacts all messages of a user in the stream that were sealed since then. Resolves with their number. */
  redactMessages(
    streamId: string,
    userId: string,
    options: { since: Date | number; reason?: string | null },
  ): Promise<number>;
  ticket(streamId: string, options?: CallOptions): Promise<{ access_token: string; expires_in: number }>;

  /** The rules of the stream that are in force. `onRules` of a subscription follows them. */
  rules(streamId: string, options?: CallOptions): Promise<StreamRules>;
  /** Changes the rules that the object names. Resolves with the sealed message stream_rules; null: nothing changed. */
  setRules(streamId: string, rules: Partial<StreamRules>, options?: CallOptions): Promise<Envelope<StreamRules> | null>;
  /** Forbids the user to send. */
  mute(streamId: string, userId: string, options?: RestrictOptions): Promise<void>;
  /** Forbids the user to send, and to read private streams. */
  ban(streamId: string, userId: string, options?: RestrictOptions): Promise<void>;
  /** Resolves with false when there was no mute. */
  unmute(streamId: string, userId: string, options?: CallOptions): Promise<boolean>;
  /** Resolves with false when there was no ban. */
  unban(streamId: string, userId: string, options?: CallOptions): Promise<boolean>;
  /** Gives the user a role in the stream; null removes the role. */
  setRole(streamId: string, userId: string, role: string | null, options?: CallOptions): Promise<void>;
  /** The messages that wait for a moderator, the oldest first. `after`: the held_id of the last one of the page before. */
  heldMessages(streamId: string, options?: CallOptions & { limit?: number; after?: string | null }): Promise<WaitingMessage[]>;
  /** Seals a held message. Resolves with its envelope, also when it was approved before. */
  approve(streamId: string, heldId: string, options?: CallOptions): Promise<Envelope>;
  /** Denies a held message. Resolves with false when it was denied before. */
  deny(streamId: string, heldId: string, options?: CallOptions & { reason?: string | null }): Promise<boolean>;
  /** Pins a message, in the place of the pinned one. Resolves with the message pinned; null: nothing changed. */
  pin(streamId: string, offset: number, options?: CallOptions & { note?: string | null }): Promise<Envelope | null>;
  /** Resolves with the message pinned, which has a null offset; null: no message was pinned. */
  unpin(streamId: string, options?: CallOptions): Promise<Envelope | null>;
  /**
   * The reported messages, those with the most reporters first. `after`: the offset of the last one of the page before.
   * `resolved`: those whose reports are closed.
   */
  reports(
    streamId: string,
    options?: CallOptions & { limit?: number; after?: number | null; resolved?: boolean },
  ): Promise<ReportCase[]>;
  /** Closes the reports of a message. Resolves with false when they have this outcome already. */
  resolveReport(
    streamId: string,
    offset: number,
    outcome: 'dismissed' | 'acted',
    options?: CallOptions & { reason?: string | null },
  ): Promise<boolean>;
  /** The acts of moderation, the newest first. `before`: the entry_id of the last one of the page before. */
  moderationLog(
    streamId: string,
    options?: CallOptions & { userId?: string | null; before?: string | null; limit?: number },
  ): Promise<LogEntry[]>;
  /** The blocked terms of the stream, the newest first. */
  blockedTerms(streamId: string, options?: CallOptions): Promise<BlockedTerm[]>;
  /** Blocks a term in the stream. Resolves with its term_id. Of a term that is there already, only the action changes. */
  addBlockedTerm(
    streamId: string,
    term: string,
    options?: CallOptions & { kind?: TermKind; wholeWord?: boolean | null; action?: TermAction },
  ): Promise<string>;
  /** Resolves with false when the user moderates no stream with this term. */
  removeBlockedTerm(streamId: string, termId: string, options?: CallOptions): Promise<boolean>;
  /** `before` and `beforeHit`: the `at` and `hit_id` of the last hit of the page before. */
  termHits(
    streamId: string,
    options?: CallOptions & { before?: string | null; beforeHit?: string | null; limit?: number },
  ): Promise<TermHit[]>;
}

/** Whether this message is among those that the redaction is about. `offset` null: an echo. */
export function covers(
  redaction: Pick<Redaction, 'senderId' | 'txnId' | 'since' | 'through' | 'before'>,
  message: { offset: number | null; envelope: Pick<Envelope, 's' | 'txn_id' | 'ts'> },
): boolean;

/** The bucket of a user in a stream, 0 to 99; the SQL function sampled() uses the same. */
export function samplingBucket(userId: string, streamId: string): Promise<number>;
/** Whether the public channel carries the user's messages at this rate (percent) in a chat storm. */
export function isSampled(userId: string, streamId: string, rate: number): Promise<boolean>;
/** 0 or 1: the public channel always carries it; 2: sampled. `type`: the row of sealcast.message_types for the type. */
export function tierOf(
  envelope: Pick<Envelope, 's' | 'd'>,
  type?: { tier?: number; tier0_amount?: number | null; states_role?: boolean },
): 0 | 1 | 2;

/** The cell of a stream, as the SQL function cell_of() calculates it; null without cells. `pins`: stream id → cell. */
export function cellOf(streamId: string, cells: Iterable<string>, pins?: Record<string, string>): Promise<string | null>;

export function createClient(options: ClientOptions): Client;

/** Access to a transport that checks tokens; docs/tokens.md. */
export interface Access {
  /** The topic or channel to read. */
  channelId: string;
  /** For MQTT a JWT, for Ably a TokenRequest. */
  token: any;
  /** The address to connect to, if the server names one. */
  url?: string;
  /** Requests another token. */
  renew(): Promise<Access>;
}

/** The options and callbacks that a driver gets for one connection. */
export interface DriverContext {
  /** Aborted when the driver must close the connection; connect() then resolves. */
  signal: AbortSignal;
  channel: 'public' | 'vip';
  /** The resume point, EPOCH:OFFSET or OFFSET; null when none is known yet. */
  after(): string | null;
  /**
   * Requests a token for this connection; with `tokens` undefined, only if transport_migrate requires one. Resolves with
   * null when neither a token nor the channel is known.
   */
  access(tokens?: boolean, signal?: AbortSignal): Promise<Access | { channelId: string; token?: undefined } | null>;
  /**
   * `offset`: the offset after which this connection begins. `epoch`: of its log. `resumed`: no frame was lost since the
   * last connection.
   */
  onConnected(how?: { offset?: number; epoch?: string | null; resumed?: boolean }): void;
  onFrame(frame: Frame | RedactedFrame | GoneFrame): void;
  /** A retained message that the transport brings before the first frame and before onConnected(). */
  onRetained(frame: Frame): void;
  /** A notice to the session's user, as an envelope. */
  onNotice(envelope: Envelope): void;
  onBadFrame(error: SealcastError): void;
  /** The stream continues after this offset: retention deleted older frames, or the log is another one, with `epoch`. */
  onReset(offset: number, epoch?: string | null): void;
  /** The SDK lost its connection and reconnects by itself. */
  onWaiting(error: SealcastError): void;
  /** The server asks for this baseMs before a new connection. */
  onPace(baseMs: number): void;
}

/** Reads one transport. An application may write its own. connect() reads until the connection is lost, and then rejects. */
export interface Driver {
  name: string;
  /** Whether a new connection continues where the last one ended. */
  resumes?: boolean;
  /** What to check when the channel brings nothing although the stream has new messages (`channel_silent`). */
  silenceHint?: string;
  connect(streamId: string, context: DriverContext): Promise<void>;
}

/** The members of MQTT.js's MqttClient that the driver uses. */
export interface MqttClientLike {
  connected: boolean;
  on(event: string, listener: (...args: any[]) => void): unknown;
  off(event: string, listener: (...args: any[]) => void): unknown;
  subscribe(topic: string, options: { qos: 0 | 1 | 2 }, done: (error: any, granted?: any) => void): unknown;
  unsubscribe(topic: string): unknown;
  end(force?: boolean): unknown;
}

/** The members of Ably.Realtime that the driver uses. */
export interface AblyRealtimeLike {
  channels: { get(name: string, options?: any): any };
  connection: { on(listener: (change: any) => void): void; off(listener: (change: any) => void): void };
  close(): void;
}

/** The members of SupabaseClient that the driver uses. */
export interface SupabaseClientLike {
  channel(name: string, options?: any): any;
  removeChannel(channel: any): Promise<unknown>;
  realtime: { disconnect(): unknown };
}

type ClientOrMaker<T, A = never> = T | ((access?: A) => T | Promise<T>);

/** `ticket`: put a ticket in the URL instead of the session. `silenceMs`: give up after this time without a byte (45000). */
export function sse(options?: { ticket?: boolean; silenceMs?: number }): Driver;
export function mqtt(options: {
  client: ClientOrMaker<MqttClientLike, Access>;
  topic?: string;
  vipTopic?: string;
  qos?: 0 | 1 | 2;
  /** Whether to request a token before each connection. Default: only if transport_migrate requires one. */
  tokens?: boolean;
}): Driver;
export function ably(options: {
  client: ClientOrMaker<AblyRealtimeLike, Access & { authCallback: (params: any, callback: any) => void }>;
  channel?: string;
  vipChannel?: string;
  event?: string;
  channelOptions?: object;
  /** As in mqtt(). */
  tokens?: boolean;
}): Driver;
export function supabase(options: {
  client: ClientOrMaker<SupabaseClientLike>;
  topic?: string;
  vipTopic?: string;
  event?: string;
  /** Whether to join the private channel of the topic, as the setting supabase.channels. Default: true. */
  private?: boolean;
}): Driver;
