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
}

/** The user's own message that a chat storm leaves out of the public channel. It has no offset on that channel. */
export interface Echo<D = Record<string, unknown>> {
  offset: null;
  prev: null;
  envelope: Envelope<D>;
}

export interface Frame<D = Record<string, unknown>> {
  offset: number;
  /** The offset of the frame before this one on the same channel (public or vip). */
  prev: number;
  envelope: Envelope<D>;
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
  messages: (Frame | GoneFrame)[];
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

export type VerifyResult = 'ok' | 'malformed' | 'unknown_kid' | 'bad_signature' | 'from_future';

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
  frame?: Frame;
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
  /** Readers follow transport_migrate after a random time up to this, so not all at the same moment. Default 500. */
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
  sendMessage<D extends object>(streamId: string, type: string, d: D, options?: SendOptions): Promise<Envelope<D>>;
  subscribeStreamEvents<D = Record<string, unknown>>(
    streamId: string,
    handler: (frame: Frame<D> | Echo<D>) => void | Promise<void>,
    options?: SubscribeOptions,
  ): Subscription;
  messages(
    streamId: string,
    query?: { after?: ResumePoint; before?: ResumePoint; limit?: number; channel?: 'public' | 'vip'; signal?: AbortSignal },
  ): Promise<Page>;
  /** Asks the server (by: 'server', the default), or verifies here with public keys (by: 'keys'). */
  verify(envelope: Envelope | string, options?: { by?: 'server' | 'keys'; signal?: AbortSignal }): Promise<VerifyResult>;
  ticket(streamId: string, options?: { signal?: AbortSignal }): Promise<{ access_token: string; expires_in: number }>;
}

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
  onFrame(frame: Frame | GoneFrame): void;
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
