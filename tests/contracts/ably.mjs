// Simulates Ably's REST API for publishing, POST /channels/{channel}/messages, and for tokens, POST
// /keys/{keyName}/requestToken, with their refusals. service.mjs describes how to start and control it.
// https://ably.com/docs/api/rest-api#publish, https://ably.com/docs/pub-sub/advanced#idempotency,
// https://ably.com/docs/platform/errors/codes
//
// A recorded message is {"id":…,"name":…,"data":…,"encoding":…}, with data as it was published.
// The ids of an array of messages must be "base:0", "base:1", …; the base is their idempotency key. The key of a single message is
// its id without such an end. A key that was published in the last --window-ms is accepted again, but not published.
// The fault "limited" also takes "code" (default 42910). 42922 has no body, since it comes from Ably's network edge.
// --max-message-bytes is the limit for all messages of one publish. --capability limits the tokens of the key.
import { AblyError, TokenDesk } from './ably_tokens.mjs';
import { decodeSegment, json, mediaType, readOptions, Service } from './service.mjs';

const ROUTE = /^\/channels\/([^/]+)\/messages$/;
const TOKENS = /^\/keys\/([^/]+)\/requestToken$/;
const MAX_MESSAGES = 1000;
const FIELDS = new Set(['id', 'name', 'data', 'encoding', 'clientId', 'connectionKey', 'extras']);
const TEXT_FIELDS = ['name', 'encoding', 'clientId'];

const options = readOptions({
  'max-message-bytes': { type: 'string', default: '65536' },
  'window-ms': { type: 'string', default: '120000' },
  capability: { type: 'string', default: '{"*":["*"]}' },
});
const maxBytes = Number(options['max-message-bytes']);
const window = Number(options['window-ms']);
const authorization = () => `Basic ${Buffer.from(options.key).toString('base64')}`;
const desk = new TokenDesk(options.key, JSON.parse(options.capability));
const seen = new Map(); // channel and key → the time of the publish

function refuse(status, code, message, headers = {}) {
  const named = { 'X-Ably-ErrorCode': String(code), 'X-Ably-ErrorMessage': message, ...headers };
  return json(status, { error: { code, message, statusCode: status } }, named);
}

const jsonText = (value) => (typeof value === 'string' ? value : JSON.stringify(value ?? ''));
const sizeOf = ({ name = '', data = '', clientId = '', extras }) =>
  Buffer.byteLength(name) + Buffer.byteLength(jsonText(data)) + Buffer.byteLength(clientId) +
  (extras ? Buffer.byteLength(JSON.stringify(extras)) : 0);

function fault(message) {
  if (message === null || typeof message !== 'object' || Array.isArray(message)) return [40001, 'invalid request body'];
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

function parse(body) {
  try {
    const value = JSON.parse(body.toString('utf8'));
    return Array.isArray(value) ? value : [value];
  } catch {
    return undefined;
  }
}

function exchange(keyName, body) {
  try {
    return json(201, desk.exchange(keyName, parse(body)?.[0]));
  } catch (error) {
    if (error instanceof AblyError) return refuse(error.statusCode, error.code, error.message);
    throw error;
  }
}

function handle({ method, path, headers, body }) {
  const tokens = TOKENS.exec(path);
  if (method === 'POST' && tokens) return exchange(decodeSegment(tokens[1]), body);
  const route = ROUTE.exec(path);
  if (method !== 'POST' || !route) return refuse(404, 40400, 'Could not find path');
  if (headers.authorization !== authorization()) return refuse(401, 40101, 'Invalid credentials');
  if (mediaType(headers) !== 'application/json') return refuse(400, 40000, 'unsupported content type');
  const channel = decodeSegment(route[1]);
  if (!channel || /^[[:]|\n/.test(channel)) return refuse(400, 40010, 'invalid channel name');
  const messages = parse(body);
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
  else for (const message of messages) service.record(channel, message);
  return json(201, { channel, messageId: key });
}

const service = new Service(options, {
  handle,
  channelOf: (path) => decodeSegment(ROUTE.exec(path)?.[1] ?? ''),
  offsetOf: ({ data }) => (typeof data === 'string' ? JSON.parse(data) : data).offset,
  refusals: {
    failed: () => refuse(500, 50000, 'internal error'),
    key: () => refuse(401, 40101, 'Invalid credentials'),
    limited({ retry_after: after, code = 42910 }) {
      const wait = after && { 'Retry-After': String(after) };
      const edge = { 'x-ably-errorcode': '42922', 'x-ably-errormessage': 'rate limit exceeded; too many requests' };
      if (code === 42922) return { status: 429, headers: { ...edge, ...wait } };
      return refuse(429, code, 'Rate limit exceeded; request rejected (nonfatal)', wait);
    },
    forbidden: () => refuse(401, 40160, 'operation not permitted with provided capability'),
  },
});
await service.start();
