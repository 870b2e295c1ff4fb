// Simulates Ably's tokens. POST /keys/{keyName}/requestToken turns a TokenRequest into a token, once. The token has its capability
// until it expires. https://ably.com/docs/api/token-request-spec, https://ably.com/docs/auth/capabilities,
// https://ably.com/docs/platform/errors/codes. A token lasts 24 hours at most: https://ably.com/docs/auth/token
//
// POST /keys/{keyName}/revokeTokens revokes tokens, if the key is set to revocable tokens. Its rules are those of
// https://ably.com/docs/auth/revocation and https://ably.com/docs/api/rest-api#revoke-tokens, unless a check names another source.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const MAX_SKEW_MS = 120_000;
const MAX_TTL_MS = 24 * 3_600_000;
const MAX_REVOCABLE_TTL_MS = 3_600_000;
const MAX_TARGETS = 100;
const MAX_ISSUED_BEFORE_AGE_MS = 3_600_000;
const REAUTH_MARGIN_MS = 30_000;
const TARGETS = ['clientId', 'revocationKey'];
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

  revocations = []; // {target, issuedBefore}, in order

  // `key` is "app.id:secret". `capability` is that of the key itself. `revocable`: whether the key is set to revocable tokens.
  constructor(key, capability = { '*': ['*'] }, { revocable = false } = {}) {
    [this.keyName, this.secret] = key.split(/:(.*)/);
    Object.assign(this, { capability, revocable });
  }

  // Returns the TokenDetails for a TokenRequest, or throws AblyError.
  exchange(keyName, request) {
    if (keyName !== this.keyName || request?.keyName !== keyName) refuse(401, 40101, 'Invalid credentials');
    const { ttl = DEFAULT_TTL_MS, timestamp, nonce = '', mac = '' } = request;
    const capability = request.capability === undefined ? '' : canonical(request.capability);
    const text = FIELDS.map((name) => `${{ ...request, capability }[name] ?? ''}\n`).join('');
    const expected = createHmac('sha256', this.secret).update(text).digest();
    const given = Buffer.from(String(mac), 'base64');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) refuse(401, 40101, 'Invalid mac');
    const now = Date.now();
    const maxTtl = this.revocable ? MAX_REVOCABLE_TTL_MS : MAX_TTL_MS;
    if (!Number.isSafeInteger(ttl) || ttl <= 0 || ttl > maxTtl) refuse(400, 40003, 'Invalid ttl');
    if (!(Math.abs(now - timestamp) <= MAX_SKEW_MS)) refuse(401, 40104, 'Timestamp not current');
    if (nonce.length < MIN_NONCE_LENGTH) refuse(400, 40003, 'Invalid nonce');
    for (const [old, when] of this.#nonces) if (now - when > 2 * MAX_SKEW_MS) this.#nonces.delete(old);
    if (this.#nonces.has(nonce)) refuse(401, 40105, 'Nonce value replayed');
    this.#nonces.set(nonce, now);
    // Without a capability, the token has that of the key: https://ably.com/docs/auth/capabilities#token-capabilities
    const granted = capability === '' ? this.capability : this.#intersect(JSON.parse(capability));
    const { clientId } = request;
    // https://ably.com/docs/platform/errors/codes, 40012
    if (clientId !== undefined && (typeof clientId !== 'string' || clientId === '')) refuse(400, 40012, 'invalid clientId');
    const token = `${this.keyName.split('.')[0]}.${randomBytes(24).toString('base64url')}`;
    const details = { token, keyName, issued: now, expires: now + ttl, capability: JSON.stringify(granted), clientId };
    this.#tokens.set(token, details);
    return details;
  }

  // Returns the details of a valid token, or throws AblyError.
  check(token) {
    const details = this.#tokens.get(token) ?? refuse(401, 40140, 'Token unrecognized');
    if (Date.now() >= details.expires) refuse(401, 40142, 'Token expired');
    if (Date.now() >= details.revokedAt) refuse(401, 40141, 'Token revoked');
    return details;
  }

  // Takes a request to revoke tokens: its headers and its body. Returns {status, body}, or throws AblyError.
  revoke(keyName, { authorization = '', 'x-ably-version': version = '1' }, request) {
    const [scheme, credentials = ''] = authorization.split(' ');
    // The errors of the credentials: errors/codes/40162.md, 40133.md and 40163.md in github.com/ably/ably-common. The status of
    // 40163 is that of its neighbours, because its page has none.
    if (scheme === 'Bearer') refuse(401, 40162, 'operation requires Basic authentication');
    if (scheme !== 'Basic' || Buffer.from(credentials, 'base64').toString() !== `${this.keyName}:${this.secret}`) refuse(401, 40101, 'Invalid credentials');
    if (keyName !== this.keyName) refuse(401, 40133, 'Can only revoke tokens using the same key that issued them');
    if (!this.revocable) refuse(401, 40163, 'Token revocation not enabled for API key');
    const now = Date.now();
    const { targets, issuedBefore = now, allowReauthMargin = false } = request ?? {};
    const listed = Array.isArray(targets) && targets.length > 0 && targets.length <= MAX_TARGETS;
    if (!listed || targets.some((target) => typeof target !== 'string')) refuse(400, 40003, 'Invalid targets');
    if (!Number.isSafeInteger(issuedBefore) || issuedBefore > now || issuedBefore < now - MAX_ISSUED_BEFORE_AGE_MS) {
      refuse(400, 40003, 'Invalid issuedBefore');
    }
    if (typeof allowReauthMargin !== 'boolean') refuse(400, 40003, 'Invalid allowReauthMargin');
    const appliesAt = allowReauthMargin ? now + REAUTH_MARGIN_MS : now;
    const results = targets.map((target) => this.#revokeTarget(target, issuedBefore, appliesAt));
    return batchAnswer(results, Number.parseInt(version, 10));
  }

  // Each target is as a request of its own.
  #revokeTarget(target, issuedBefore, appliesAt) {
    const [type, value] = target.split(/:(.*)/s);
    // 40121 for the type channel: errors/codes/40121.md. 400 for an unknown type: github.com/ably/ably-js, test/rest/batch.test.js.
    const error = (statusCode, code, message) => ({ target, error: { statusCode, code, message } });
    if (type === 'channel') return error(401, 40121, 'Token revocation by channel is not enabled');
    if (!TARGETS.includes(type) || !value) return error(400, 40000, 'Invalid target specifier');
    for (const details of this.#tokens.values()) {
      // Ably Tokens, unlike JWTs, have no revocation key.
      if (type !== 'clientId' || details.clientId !== value || details.issued >= issuedBefore) continue;
      details.revokedAt = Math.min(details.revokedAt ?? Infinity, appliesAt);
    }
    this.revocations.push({ target, issuedBefore });
    return { target, issuedBefore, appliesAt };
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

// The answer of a batch request. Up to version 2 as in https://ably.com/docs/messages/batch; from version 3 on as
// github.com/ably/ably-js, test/rest/batch.test.js expects it.
function batchAnswer(results, version) {
  const failureCount = results.filter(({ error }) => error).length;
  if (version >= 3) return { status: 201, body: { successCount: results.length - failureCount, failureCount, results } };
  if (failureCount === 0) return { status: 201, body: results };
  const error = { statusCode: 400, code: 40020, message: 'Batched response includes errors' };
  return { status: 400, body: { error, batchResponse: results } };
}

export function permits({ capability }, operation, channel) {
  const granted = JSON.parse(capability);
  const operations = granted[channel] ?? granted['*'] ?? [];
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
