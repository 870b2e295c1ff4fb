// The options of createClient() and of its methods, with the rule for each (check.js). ../docs/client.md describes them.
import { BACKOFF, either, FLAG, FUNCTION, listOf, MS, oneOf, orNull, rule, TEXT } from './check.js';
import { parseResumePoint } from './resume_point.js';

const COUNT = rule('an integer, 1 or more', (value) => Number.isInteger(value) && value >= 1);
const PAGE_SIZE = rule('an integer from 1 to 500', (value) => COUNT.accepts(value) && value <= 500);
const SIGNAL = rule('an AbortSignal', (value) => typeof value?.addEventListener === 'function' && 'aborted' in value);
const RESUME_POINT = rule('an offset or a resume point (EPOCH:OFFSET)', (value) => parseResumePoint(value) !== null);
const CHANNEL = oneOf('public', 'vip');
const CALLBACK = orNull(FUNCTION);
const KEYS = rule('a JSON Web Key Set: {keys: […]}', (value) => Array.isArray(value?.keys));
const DRIVERS = rule('a list of drivers, {name, connect()}, each with another name, and at least one', areDrivers);

export const ADDRESS = rule('an absolute URL, https://… or http://…, without query, user name and password', isAddress);
export const ENVELOPE = rule('an envelope or its text', (value) => value !== undefined);

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

export const VERIFY_OPTIONS = { by: oneOf('server', 'keys'), signal: orNull(SIGNAL) };

export const TICKET_OPTIONS = { signal: orNull(SIGNAL) };

export const SUBSCRIBE_OPTIONS = {
  from: orNull(RESUME_POINT),
  transport: TEXT,
  channel: CHANNEL,
  verify: oneOf(true, false, 'keys'),
  onStatus: CALLBACK,
  onTransport: CALLBACK,
  onDropped: CALLBACK,
  onGone: CALLBACK,
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

function areDrivers(value) {
  const isDriver = (driver) => TEXT.accepts(driver?.name) && FUNCTION.accepts(driver.connect);
  if (!Array.isArray(value) || value.length === 0 || !value.every(isDriver)) return false;
  return new Set(value.map(({ name }) => name)).size === value.length;
}
