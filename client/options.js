// The options of createClient() and of its methods, with the rule for each (check.js). ../docs/client.md describes them.
import { BACKOFF, either, FLAG, FUNCTION, listOf, MS, oneOf, orNull, rule, TEXT } from './check.js';
import { parseResumePoint } from './resume_point.js';

const COUNT = rule('an integer, 1 or more', (value) => Number.isInteger(value) && value >= 1);
const HITS_SIZE = rule('an integer from 1 to 1000', (value) => COUNT.accepts(value) && value <= 1000);
const PAGE_SIZE = rule('an integer from 1 to 500', (value) => COUNT.accepts(value) && value <= 500);
const SIGNAL = rule('an AbortSignal', (value) => typeof value?.addEventListener === 'function' && 'aborted' in value);
const RESUME_POINT = rule('an offset or a resume point (EPOCH:OFFSET)', (value) => parseResumePoint(value) !== null);
const TIME = rule('a Date, or Unix milliseconds', isTime);
const PURGE_MS = rule('a finite number of milliseconds, 0 or more', (value) => MS.accepts(value) && Number.isFinite(value));
const CHANNEL = oneOf('public', 'vip');
const CALLBACK = orNull(FUNCTION);
const KEYS = rule('a JSON Web Key Set: {keys: […]}', (value) => Array.isArray(value?.keys));
const DRIVERS = rule('a list of drivers, {name, connect()}, each with another name, and at least one', areDrivers);

export const ADDRESS = rule('an absolute URL, https://… or http://…, without query, user name and password', isAddress);
export const OFFSET = rule('the offset of a message, an integer from 1', (value) => Number.isSafeInteger(value) && value >= 1);
export const ENVELOPE = rule('an envelope or its text', (value) => value !== undefined);

// How redact() names a message.
export const MESSAGE_NAME = rule('{ offset }, or { txnId } with the senderId of another user', isMessageName);

export const CLIENT_OPTIONS = {
  url: ADDRESS,
  regions: either(listOf(ADDRESS), oneOf(true)),
  token: orNull(TEXT),
  getToken: orNull(FUNCTION),
  fetch: FUNCTION,
  timeoutMs: MS,
  followCells: FLAG,
  publicKeys: KEYS,
  transports: DRIVERS,
  retry: BACKOFF,
  maxQueued: COUNT,
};

export const SEND_OPTIONS = { txnId: TEXT, signal: orNull(SIGNAL), giveUpAfterMs: MS };

export const QUERY = {
  after: orNull(RESUME_POINT),
  before: orNull(RESUME_POINT),
  limit: PAGE_SIZE,
  channel: CHANNEL,
  signal: orNull(SIGNAL),
};

export const SIGNAL_OPTION = { signal: orNull(SIGNAL) };

export const STATE_OPTIONS = { channel: CHANNEL, ...SIGNAL_OPTION };

export const REPORT_OPTIONS = { reason: orNull(TEXT), category: orNull(TEXT), ...SIGNAL_OPTION };

export const REASON_OPTIONS = { reason: orNull(TEXT), ...SIGNAL_OPTION };

export const PIN_OPTIONS = { note: orNull(TEXT), ...SIGNAL_OPTION };

export const HELD_OPTIONS = { limit: PAGE_SIZE, after: orNull(TEXT), ...SIGNAL_OPTION };

export const PURGE_OPTIONS = { since: TIME, reason: orNull(TEXT) };

export const RESTRICT_OPTIONS = { until: orNull(TIME), reason: orNull(TEXT), note: orNull(TEXT), purgeMs: orNull(PURGE_MS), ...SIGNAL_OPTION };

export const REPORTS_OPTIONS = { limit: PAGE_SIZE, after: orNull(OFFSET), resolved: FLAG, ...SIGNAL_OPTION };

export const LOG_OPTIONS = { userId: orNull(TEXT), before: orNull(TEXT), limit: PAGE_SIZE, ...SIGNAL_OPTION };

export const TERM_OPTIONS = {
  kind: oneOf('literal', 'wildcard', 'pattern'),
  wholeWord: orNull(FLAG),
  action: oneOf('refuse', 'hold', 'mask', 'flag'),
  ...SIGNAL_OPTION,
};

export const TERM_HITS_OPTIONS = { before: orNull(TEXT), beforeHit: orNull(TEXT), limit: HITS_SIZE, ...SIGNAL_OPTION };

export const OUTCOME = oneOf('dismissed', 'acted');

export const VERIFY_OPTIONS = { by: oneOf('server', 'keys'), ...SIGNAL_OPTION };

export const SUBSCRIBE_OPTIONS = {
  from: orNull(RESUME_POINT),
  transport: TEXT,
  channel: CHANNEL,
  verify: oneOf(true, false, 'keys'),
  onStatus: CALLBACK,
  onTransport: CALLBACK,
  onDropped: CALLBACK,
  onGone: CALLBACK,
  onRedacted: CALLBACK,
  onRules: CALLBACK,
  onNotice: CALLBACK,
  onRewound: CALLBACK,
  onError: CALLBACK,
  reconnect: BACKOFF,
  overlapMs: MS,
  migrateTimeoutMs: MS,
  quietMs: MS,
  patienceMs: MS,
  spreadMs: MS,
  maxHeld: COUNT,
  pageSize: PAGE_SIZE,
};

function isAddress(value) {
  try {
    const { username, password, search, hash } = new URL(value);
    return /^https?:\/\//i.test(value) && username + password + search + hash === '';
  } catch {
    return false;
  }
}

function isTime(value) {
  return (value instanceof Date || MS.accepts(value)) && Number.isFinite(new Date(value).getTime());
}

function isMessageName(value) {
  const { offset, txnId, senderId, ...others } = value ?? {};
  if (Object.keys(others).length > 0) return false;
  if (offset === undefined) return TEXT.accepts(txnId) && (senderId === undefined || TEXT.accepts(senderId));
  return COUNT.accepts(offset) && txnId === undefined && senderId === undefined;
}

function areDrivers(value) {
  const isDriver = (driver) => TEXT.accepts(driver?.name) && FUNCTION.accepts(driver.connect);
  if (!Array.isArray(value) || value.length === 0 || !value.every(isDriver)) return false;
  return new Set(value.map(({ name }) => name)).size === value.length;
}
