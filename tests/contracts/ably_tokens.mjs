// Simulates Ably's tokens. POST /keys/{keyName}/requestToken turns a TokenRequest into a token, once. The token has its capability
// until it expires. https://ably.com/docs/api/token-request-spec, https://ably.com/docs/auth/capabilities,
// https://ably.com/docs/platform/errors/codes
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const MAX_SKEW_MS = 120_000;
const MAX_TTL_MS = 24 * 3_600_000;
const DEFAULT_TTL_MS = 3_600_000;
const MIN_NONCE_LENGTH = 16;
const FIELDS = ['keyName', 'ttl', 'capability', 'clientId', 'timestamp', 'nonce'];

// An error answer of Ably.
export class AblyError extends Error {
  constructor(statusCode, code, message) {
    super(message);
    Object.assign(this, { statusCode, code });
  }
}

const refuse = (statusCode, code, message) => {
  throw new AblyError(statusCode, code, message);
};

export class TokenDesk {
  #nonces = new Map(); // nonce → the time of its use
  #tokens = new Map();

  // `key` is "app.id:secret". `capability` is that of the key itself.
  constructor(key, capability = { '*': ['*'] }) {
    [this.keyName, this.secret] = key.split(/:(.*)/);
    this.capability = capability;
  }

  // Returns the TokenDetails for a TokenRequest, or throws AblyError.
  exchange(keyName, request) {
    if (keyName !== this.keyName || request?.keyName !== keyName) refuse(401, 40101, 'Invalid credentials');
    const { ttl = DEFAULT_TTL_MS, timestamp, nonce = '', mac = '' } = request;
    const capability = canonical(request.capability);
    const text = FIELDS.map((name) => `${{ ...request, capability }[name] ?? ''}\n`).join('');
    const expected = createHmac('sha256', this.secret).update(text).digest();
    const given = Buffer.from(String(mac), 'base64');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) refuse(401, 40101, 'Invalid mac');
    const now = Date.now();
    if (!Number.isSafeInteger(ttl) || ttl <= 0 || ttl > MAX_TTL_MS) refuse(400, 40003, 'Invalid ttl');
    if (!(Math.abs(now - timestamp) <= MAX_SKEW_MS)) refuse(401, 40104, 'Timestamp not current');
    if (nonce.length < MIN_NONCE_LENGTH) refuse(400, 40003, 'Invalid nonce');
    for (const [old, when] of this.#nonces) if (now - when > 2 * MAX_SKEW_MS) this.#nonces.delete(old);
    if (this.#nonces.has(nonce)) refuse(401, 40105, 'Nonce value replayed');
    this.#nonces.set(nonce, now);
    const granted = this.#intersect(JSON.parse(capability));
    const token = `${this.keyName.split('.')[0]}.${randomBytes(24).toString('base64url')}`;
    const details = { token, keyName, issued: now, expires: now + ttl, capability: JSON.stringify(granted) };
    this.#tokens.set(token, details);
    return details;
  }

  // Returns the details of a valid token, or throws AblyError.
  check(token) {
    const details = this.#tokens.get(token) ?? refuse(401, 40140, 'Token unrecognized');
    if (Date.now() >= details.expires) refuse(401, 40142, 'Token expired');
    return details;
  }

  // Expires all tokens now.
  expire() {
    for (const details of this.#tokens.values()) details.expires = 0;
  }

  #intersect(asked) {
    const granted = {};
    for (const [channel, operations] of Object.entries(asked)) {
      const own = this.capability[channel] ?? this.capability['*'] ?? [];
      const both = operations.filter((operation) => own.includes('*') || own.includes(operation));
      if (both.length > 0) granted[channel] = both;
    }
    if (Object.keys(granted).length === 0) refuse(401, 40160, 'operation not permitted with provided capability');
    return granted;
  }
}

export function permits({ capability }, operation, channel) {
  const operations = JSON.parse(capability)[channel] ?? [];
  return operations.includes(operation) || operations.includes('*');
}

// The canonical form of a capability, which is signed: sorted and without spaces.
function canonical(text) {
  try {
    const entries = Object.entries(JSON.parse(text)).sort(([a], [b]) => (a < b ? -1 : 1));
    return JSON.stringify(Object.fromEntries(entries.map(([name, operations]) => [name, [...operations].sort()])));
  } catch {
    return refuse(400, 40000, 'Invalid capability');
  }
}
