// Simulates Ably's REST API for publishing, POST /channels/{channel}/messages, and for tokens, POST
// /keys/{keyName}/requestToken and POST /keys/{keyName}/revokeTokens, with their refusals. service.mjs describes how to start and control it.
// https://ably.com/docs/api/rest-api#publish, https://ably.com/docs/pub-sub/advanced#idempotency,
// https://ably.com/docs/platform/errors/codes
//
// Each check names its source, unless it is one of the pages above. It takes what ably-js sends (ably_sdk.test.mjs): JSON and
// MessagePack, with the key or a token, and the members action and size.
//
// A recorded message has the members of MESSAGE, with data as it was published; bytes are in base64.
// The ids of an array of messages must be "base:0", "base:1", …; the base is their idempotency key. The key of a single message is
// its id without such an end. A key that was published in the last --window-ms is accepted again, but not published.
// The fault "limited" also takes "code", a key of LIMITS: by default 42913 for one channel, and otherwise 42917. 42922 has no body,
// since it comes from Ably's network edge.
// {"do":"revocations"}            → {"revocations":[{"target":…,"issuedBefore":…},…]} that were made, in order
// {"do":"revocable","value":V}    → {} whether the key is set to revocable tokens; --revocable sets it from the start
// --max-message-bytes is the limit for all messages of one publish. --capability limits the tokens of the key.
import { Buffer } from 'node:buffer';
import { AblyError, permits, TokenDesk } from './ably_tokens.mjs';
import { decodeSegment, json, mediaType, readOptions, Service } from './service.mjs';

// The unit tests run without the packages of npm, and publish JSON only.
const { default: msgpack } = await import('@ably/msgpack-js').catch(() => ({}));

const ROUTE = /^\/channels\/([^/]+)\/messages$/;
const TOKENS = /^\/keys\/([^/]+)\/(requestToken|revokeTokens)$/;
const MAX_MESSAGES = 1000;
const MSGPACK = 'application/x-msgpack'; // https://ably.com/docs/api/rest-api#content-type
const MESSAGE = ['id', 'name', 'encoding', 'data', 'clientId', 'connectionKey', 'extras'];
const OF_THE_SDK = ['action', 'size']; // https://github.com/ably/ably-js, src/common/lib/types/message.ts: encode() adds them
const FIELDS = new Set([...MESSAGE, ...OF_THE_SDK]);
const TEXT_FIELDS = ['name', 'encoding', 'clientId'];

// The message of each rate limit, from errors/codes/CODE.md in github.com/ably/ably-common. For channel.maxRate Ably's FAQ shows
// 42910 instead of 42913: https://faqs.ably.com/error-code-42910-rate-limit-exceeded-request-rejected
const rejected = (metric) => `Rate limit exceeded; request rejected (nonfatal); metric = ${metric}; permitted rate = 50`;
const account = (what) => `Maximum account-wide instantaneous ${what} rate exceeded; permitted rate = 250; metric = ${what}.maxRate`;
const LIMITS = {
  42910: rejected('channel.maxRate'),
  42911: rejected('connection.inboundRate'),
  42913: rejected('channel.maxRate'),
  42914: rejected('channel.maxBandwidth'),
  42917: account('messages'),
  42918: account('apiRequests'),
  42922: 'rate limit exceeded; too many requests',
};

const options = readOptions({
  'max-message-bytes': { type: 'string', default: '65536' },
  'window-ms': { type: 'string', default: '120000' },
  capability: { type: 'string', default: '{"*":["*"]}' },
  revocable: { type: 'boolean', default: false },
});
const maxBytes = Number(options['max-message-bytes']);
const window = Number(options['window-ms']);
const desk = new TokenDesk(options.key, JSON.parse(options.capability), { revocable: options.revocable });
const seen = new Map(); // channel and key → the time of the publish

const nameError = ({ code, message }) => ({ 'X-Ably-ErrorCode': String(code), 'X-Ably-ErrorMessage': message });

function refuse(status, code, message, headers = {}) {
  const error = { code, message, statusCode: status };
  return json(status, { error }, { ...nameError(error), ...headers });
}

// https://ably.com/docs/platform/pricing/message-counting#message-size: bytes count as they are, also if they are sent in base64.
function sizeOfData(data = '', encoding = '') {
  if (Buffer.isBuffer(data)) return data.length;
  if (typeof data === 'string' && encoding.endsWith('base64')) return Buffer.from(data, 'base64').length;
  return Buffer.byteLength(typeof data === 'string' ? data : JSON.stringify(data ?? ''));
}
const sizeOf = ({ name = '', data, encoding, clientId = '', extras }) =>
  Buffer.byteLength(name) + sizeOfData(data, encoding) + Buffer.byteLength(clientId) +
  (extras ? Buffer.byteLength(JSON.stringify(extras)) : 0);

function fault(message) {
  if (message === null || typeof message !== 'object' || Array.isArray(message) || Buffer.isBuffer(message)) return [40001, 'invalid request body'];
  const unknown = Object.keys(message).find((field) => !FIELDS.has(field));
  if (unknown) return [40000, `Bad request: ${unknown}`];
  if (TEXT_FIELDS.some((field) => message[field] !== undefined && typeof message[field] !== 'string')) {
    return [40016, 'Invalid message name'];
  }
  if (message.data !== undefined && typeof message.data !== 'string' && typeof message.data !== 'object') {
    return [40013, 'Data type is unsupported'];
  }
  if (message.encoding === 'json') {
    try {
      JSON.parse(message.data);
    } catch {
      return [40013, 'Invalid message data or encoding'];
    }
  }
  if (message.id !== undefined && (typeof message.id !== 'string' || message.id === '')) {
    return [40031, 'Client-specified message id cannot be empty'];
  }
  return undefined;
}

// The idempotency key of the messages: undefined without ids, null when the ids do not match the format.
function idempotencyKey(messages) {
  if (messages.every(({ id }) => id === undefined)) return undefined;
  if (messages.length === 1) return messages[0].id.replace(/:\d+$/, '');
  const base = /^(.+):0$/.exec(messages[0].id ?? '')?.[1];
  return base !== undefined && messages.every(({ id }, index) => id === `${base}:${index}`) ? base : null;
}

function repeated(channel, key) {
  const now = Date.now();
  const name = `${channel}\n${key}`;
  if (now - (seen.get(name) ?? -Infinity) < window) return true;
  seen.delete(name); // keeps the map in the order of time
  seen.set(name, now);
  for (const [old, when] of seen) {
    if (now - when < window) break;
    seen.delete(old);
  }
  return false;
}

function parse(body, type) {
  try {
    const value = type === MSGPACK ? msgpack.decode(body) : JSON.parse(body.toString('utf8'));
    return Array.isArray(value) ? value : [value];
  } catch {
    return undefined;
  }
}

function recorded(message) {
  const kept = Object.fromEntries(MESSAGE.filter((name) => message[name] !== undefined).map((name) => [name, message[name]]));
  return Buffer.isBuffer(kept.data) ? { ...kept, encoding: 'base64', data: kept.data.toString('base64') } : kept;
}

// The answer in the format that the request accepts.
function inFormat({ headers: { accept = '' } }, answer) {
  if (!accept.includes(MSGPACK) || !answer.headers['Content-Type']) return answer;
  const headers = { ...answer.headers, 'Content-Type': MSGPACK };
  return { ...answer, headers, body: msgpack.encode(JSON.parse(answer.body)) };
}

// Returns the refusal of a publish with these credentials, or undefined: https://ably.com/docs/api/rest-api#authentication.
// A token names a channel and may have a clientId, which is then that of all its messages:
// https://ably.com/docs/auth/capabilities, https://ably.com/docs/auth/identified-clients.
function refusalOf(authorization, channel, messages) {
  const [scheme, credentials = ''] = (authorization ?? '').split(' ');
  const text = Buffer.from(credentials, 'base64').toString();
  if (scheme === 'Basic') return text === options.key ? undefined : refuse(401, 40101, 'Invalid credentials');
  if (scheme !== 'Bearer') return refuse(401, 40101, 'Invalid credentials');
  const details = desk.check(text);
  if (!permits(details, 'publish', channel)) return refuse(401, 40160, 'operation not permitted with provided capability');
  const foreign = details.clientId && messages.some(({ clientId }) => clientId && clientId !== details.clientId);
  return foreign ? refuse(400, 40012, 'invalid clientId') : undefined;
}

function handle(request) {
  try {
    return inFormat(request, execute(request));
  } catch (error) {
    if (error instanceof AblyError) return inFormat(request, refuse(error.statusCode, error.code, error.message));
    throw error;
  }
}

function answerTokens(keyName, action, headers, request) {
  if (action === 'requestToken') return json(201, desk.exchange(keyName, request));
  const { status, body } = desk.revoke(keyName, headers, request);
  return json(status, body, body.error && nameError(body.error));
}

function execute({ method, path, headers, body }) {
  const type = mediaType(headers);
  const tokens = TOKENS.exec(path);
  if (method === 'POST' && tokens) return answerTokens(decodeSegment(tokens[1]), tokens[2], headers, parse(body, type)?.[0]);
  const route = ROUTE.exec(path);
  if (method !== 'POST' || !route) return refuse(404, 40400, 'Could not find path');
  if (type !== 'application/json' && (type !== MSGPACK || !msgpack)) return refuse(400, 40000, 'unsupported content type');
  const channel = decodeSegment(route[1]);
  const messages = parse(body, type);
  const refusal = refusalOf(headers.authorization, channel, messages ?? []);
  if (refusal) return refusal;
  if (!channel || /^[[:]|\n/.test(channel)) return refuse(400, 40010, 'invalid channel name');
  if (!messages || messages.length === 0) return refuse(400, 40001, 'invalid request body');
  if (messages.length > MAX_MESSAGES) return refuse(400, 40034, 'Too many messages in one publish');
  const problem = messages.map(fault).find(Boolean);
  if (problem) return refuse(400, ...problem);
  const size = messages.reduce((sum, message) => sum + sizeOf(message), 0);
  if (size > maxBytes) {
    return refuse(413, 40009, `Maximum message length exceeded (size was ${size} bytes, limit is ${maxBytes} bytes)`);
  }
  const key = idempotencyKey(messages);
  if (key === null) {
    return refuse(400, 40031, 'Client-specified message ids do not match the required format');
  }
  if (key !== undefined && repeated(channel, key)) service.recordRepeat(messages.length);
  else for (const message of messages) service.record(channel, recorded(message));
  return json(201, { channel, messageId: key });
}

const service = new Service(options, {
  handle,
  channelOf: (path) => decodeSegment(ROUTE.exec(path)?.[1] ?? ''),
  offsetOf: ({ data }) => (typeof data === 'string' ? JSON.parse(data) : data).offset,
  commands: {
    revocations: () => ({ revocations: desk.revocations }),
    revocable({ value }) {
      desk.revocable = value;
      return {};
    },
  },
  refusals: {
    failed: () => refuse(500, 50000, 'internal error'),
    key: () => refuse(401, 40101, 'Invalid credentials'),
    limited({ retry_after: after, channel, code = channel === undefined ? 42917 : 42913 }) {
      const wait = after && { 'Retry-After': String(after) };
      const edge = { 'x-ably-errorcode': String(code), 'x-ably-errormessage': LIMITS[code] };
      return code === 42922 ? { status: 429, headers: { ...edge, ...wait } } : refuse(429, code, LIMITS[code], wait);
    },
    forbidden: () => refuse(401, 40160, 'operation not permitted with provided capability'),
  },
});
await service.start();
