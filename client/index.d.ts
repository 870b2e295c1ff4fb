// Types of sealcast-client. ../docs/client.md describes what they stand for.

/** What was sealed, with `d` as its sender meant it. docs/envelope.md has the members. */
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

/** What a handler gets for an own message that a chat storm leaves out: it has no offset there. */
export interface Echo<D = Record<string, unknown>> {
  offset: null;
  prev: null;
  envelope: Envelope<D>;
}

export interface Frame<D = Record<string, unknown>> {
  offset: number;
  /** The offset of the frame before this one on the channel that brought it. */
  prev: number;
  envelope: Envelope<D>;
}

export interface Page {
  messages: Frame[];
  first: number;
  last: number;
  /** The answer ends for its size, and not for `limit`. */
  more?: true;
}

/** `keys` of RFC 7517: those with kty OKP and crv Ed25519 count. */
export interface PublicKeySet {
  keys: { kty: string; crv?: string; kid?: string; x?: string; [member: string]: unknown }[];
}

export type VerifyResult = 'ok' | 'malformed' | 'unknown_kid' | 'bad_signature' | 'from_future';

export interface Backoff {
  /** Upper bound of the first pause; doubles with each attempt. Default 250, or what the event stream says. */
  baseMs?: number;
  /** Default 10000. */
  capMs?: number;
  /** Up to this much is added to every pause. Default 500. */
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
  /** HTTP status; 0 when there was no answer. */
  status: number;
  code: string;
  details: string | null;
  hint: string | null;
  retryAfterMs: number | null;
  cause?: unknown;
  /** Of sendMessage(): send again under this one. */
  txnId?: string;
  /** Of code `unverified`. */
  frame?: Frame;
  readonly retryable: boolean;
}

export interface ClientOptions {
  url: string | URL;
  /** Where to go on when a region does not answer: addresses, or true for those that `url` tells. Default none. */
  regions?: (string | URL)[] | true;
  /** A session token. */
  token?: string;
  /** Or where to get one. With `refresh` the last one was refused. */
  getToken?: (why: { refresh: boolean }) => string | null | undefined | Promise<string | null | undefined>;
  fetch?: typeof globalThis.fetch;
  /** For an answer of the server's. Default 15000. */
  timeoutMs?: number;
  /** Whether to go where a server says that another cell has a stream, with the session. Default true. */
  followCells?: boolean;
  /** What envelopes are verified with by `verify: 'keys'`. Default: what the server shows. */
  publicKeys?: PublicKeySet;
  /** The first one is used unless a subscription names another. Default [sse()]. */
  transports?: Driver[];
  /** Of sendMessage(). */
  retry?: Backoff;
}

export interface SendOptions {
  /** A UUID; by default a new one. */
  txnId?: string;
  signal?: AbortSignal;
  /** No attempt begins later than this. Default 60000. */
  giveUpAfterMs?: number;
}

export type Status = 'connecting' | 'live' | 'reconnecting' | 'failed' | 'closed';

export interface SubscribeOptions {
  /** Begin after this offset; 0 = from the beginning; by default with what comes next. */
  from?: number | null;
  /** The name of the transport to begin with. */
  transport?: string;
  /** vip: every message also in a chat storm, for users with a role in the stream. Default public. */
  channel?: 'public' | 'vip';
  onStatus?: (status: Status, error?: SealcastError) => void;
  onTransport?: (transport: string, previous: string) => void;
  /** Retention took these before they could be read. */
  onDropped?: (range: { from: number; to: number }) => void | Promise<void>;
  /** The database was restored from an older dump: offsets go on after this one. */
  onRewound?: (to: { offset: number }) => void | Promise<void>;
  onError?: (error: SealcastError) => void;
  /** Whether each envelope is sealed, by asking the server (true) or by public keys; those that are not are reported and left out. */
  verify?: boolean | 'keys';
  reconnect?: Backoff;
  /** Of transport_migrate without overlap_ms, and of migrate(). Default 5000. */
  overlapMs?: number;
  /** How long another transport may take to connect. Default 15000. */
  migrateTimeoutMs?: number;
  /** The history is asked after about so long without a frame, on transports that do not resume. 0 = never. Default 60000. */
  quietMs?: number;
  /** How long a missing frame may be late before the history is asked. Default 150. */
  patienceMs?: number;
  /** Frames that wait for the handler, or for one that is missing. Default 1000. */
  maxHeld?: number;
  /** Messages of one request to the history, at most 500. Default 200. */
  pageSize?: number;
  /** transport_migrate is followed after up to so long, not by all readers at once. Default 500. */
  spreadMs?: number;
}

export interface Subscription {
  /** Resolves when all that is sent from then on will be delivered. */
  readonly ready: Promise<void>;
  readonly transport: string;
  readonly offset: number | null;
  readonly status: Status;
  migrate(transport: string, options?: { overlapMs?: number }): Promise<void>;
  close(): Promise<void>;
}

export interface Client {
  /** The address that requests go to now. */
  readonly region: string;
  sendMessage<D extends object>(streamId: string, type: string, d: D, options?: SendOptions): Promise<Envelope<D>>;
  subscribeStreamEvents<D = Record<string, unknown>>(
    streamId: string,
    handler: (frame: Frame<D> | Echo<D>) => void | Promise<void>,
    options?: SubscribeOptions,
  ): Subscription;
  messages(
    streamId: string,
    query?: { after?: number; before?: number; limit?: number; channel?: 'public' | 'vip'; signal?: AbortSignal },
  ): Promise<Page>;
  /** By the server, or here by public keys. */
  verify(envelope: Envelope | string, options?: { by?: 'server' | 'keys'; signal?: AbortSignal }): Promise<VerifyResult>;
  ticket(streamId: string, options?: { signal?: AbortSignal }): Promise<{ access_token: string; expires_in: number }>;
}

/** Of a user in a stream, 0 to 99; the same as in SQL's sampled(). */
export function samplingBucket(userId: string, streamId: string): Promise<number>;
export function isSampled(userId: string, streamId: string, rate: number): Promise<boolean>;
/** 0 or 1: always sent in a chat storm; 2: sampled. `type`: what sealcast.message_types has of the envelope's type. */
export function tierOf(
  envelope: Pick<Envelope, 's' | 'd'>,
  type?: { tier?: number; tier0_amount?: number | null; states_role?: boolean },
): 0 | 1 | 2;

/** The cell that a stream is in, as in SQL's cell_of(); null when there are none. `pins`: stream id → cell. */
export function cellOf(streamId: string, cells: Iterable<string>, pins?: Record<string, string>): Promise<string | null>;

export function createClient(options: ClientOptions): Client;

/** How a reader gets in at a transport; docs/tokens.md. */
export interface Access {
  /** The topic or channel to read. */
  channelId: string;
  /** For MQTT a JWT, for Ably a TokenRequest. */
  token: any;
  /** Where to connect to, when the server tells. */
  url?: string;
  /** Another token. */
  renew(): Promise<Access>;
}

/** What a driver is given, and may tell. */
export interface DriverContext {
  /** Aborted when the connection is to be given up; connect() then resolves. */
  signal: AbortSignal;
  channel: 'public' | 'vip';
  /** The offset to resume after; null when none is known. */
  after(): number | null;
  /** A token for this connection; without `tokens` when a transport_migrate brought a ticket. Null: there is nothing to know. */
  access(tokens?: boolean, signal?: AbortSignal): Promise<Access | { channelId: string; token?: undefined } | null>;
  onConnected(how?: { offset?: number; resumed?: boolean }): void;
  onFrame(frame: Frame): void;
  onBadFrame(error: SealcastError): void;
  onReset(offset: number): void;
  /** The SDK lost its connection and will connect again by itself. */
  onWaiting(error: SealcastError): void;
  onPace(baseMs: number): void;
}

/** A transport: yours may be one too. connect() reads until it is lost, and then rejects. */
export interface Driver {
  name: string;
  /** Whether a connection continues where the last one was cut off. */
  resumes?: boolean;
  connect(streamId: string, context: DriverContext): Promise<void>;
}

/** What is used of MQTT.js's MqttClient. */
export interface MqttClientLike {
  connected: boolean;
  on(event: string, listener: (...told: any[]) => void): unknown;
  off(event: string, listener: (...told: any[]) => void): unknown;
  subscribe(topic: string, options: { qos: 0 | 1 | 2 }, done: (error: any, granted?: any) => void): unknown;
  unsubscribe(topic: string): unknown;
  end(force?: boolean): unknown;
}

/** What is used of Ably.Realtime. */
export interface AblyRealtimeLike {
  channels: { get(name: string, options?: any): any };
  connection: { on(listener: (change: any) => void): void; off(listener: (change: any) => void): void };
  close(): void;
}

/** What is used of SupabaseClient. */
export interface SupabaseClientLike {
  channel(name: string, options?: any): any;
  removeChannel(channel: any): Promise<unknown>;
  realtime: { disconnect(): unknown };
}

type ClientOrMaker<T, A = never> = T | ((access?: A) => T | Promise<T>);

export function sse(options?: { ticket?: boolean; silenceMs?: number }): Driver;
export function mqtt(options: {
  client: ClientOrMaker<MqttClientLike, Access>;
  topic?: string;
  vipTopic?: string;
  qos?: 0 | 1 | 2;
  /** true: asks for a token before each connection; false: never; by default when a transport_migrate brought a ticket. */
  tokens?: boolean;
}): Driver;
export function ably(options: {
  client: ClientOrMaker<AblyRealtimeLike, Access & { authCallback: (params: any, callback: any) => void }>;
  channel?: string;
  vipChannel?: string;
  event?: string;
  channelOptions?: object;
  /** As of mqtt(). */
  tokens?: boolean;
}): Driver;
export function supabase(options: {
  client: ClientOrMaker<SupabaseClientLike>;
  topic?: string;
  vipTopic?: string;
  event?: string;
  private?: boolean;
}): Driver;
