// Checks that an answer comes from Sealcast, by its content type and its shape. Any other answer, for example a login page,
// is `unexpected_answer`.
import { addressOf, SealcastError } from './errors.js';
import { parseFrame } from './frame.js';
import { isEnvelope } from './verify_envelope.js';

const RESULTS = ['ok', 'redacted', 'malformed', 'unknown_kid', 'bad_signature', 'from_future'];

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value) => typeof value === 'string' && value !== '';
export const isHeld = ({ held, code, txn_id: txnId }) => held === true && code === 'held' && isText(txnId);
const isTextOrMissing = (value) => value === undefined || value === null || isText(value);

// An answer that is expected: `read` returns its value, or undefined when the value has another shape.
const plain = (name, accepts) => ({ name, read: (value) => (accepts(value) ? value : undefined) });
const shape = (name, accepts) => plain(name, (value) => isObject(value) && accepts(value));

const isSealed = (value) => isEnvelope(value) && (isObject(value.d) || value.payload_hash !== undefined);
export const ENVELOPE = shape('a sealed message', isSealed);
// The answer to a message: its envelope, or that it waits for a moderator.
export const SENT = shape('a sealed message', (value) => isHeld(value) || isSealed(value));
export const VERDICT = shape('a result of verify', ({ result }) => RESULTS.includes(result));
export const YES_OR_NO = { name: 'true or false', read: (value) => (typeof value === 'boolean' ? value : undefined) };
export const KEY_SET = shape('a JSON Web Key Set', ({ keys }) => Array.isArray(keys) && keys.every(isObject));
export const REGION_LIST = shape(
  'a list of regions',
  ({ regions }) => Array.isArray(regions) && regions.every((region) => isText(region?.url)),
);
export const TICKET = shape('a ticket', (value) => isText(value.access_token) && Number.isFinite(value.expires_in));
export const TOKEN = shape(
  'a token for a transport',
  ({ channel_id: channel, token, url }) => isText(channel) && (isText(token) || isObject(token)) && isTextOrMissing(url),
);
export const COUNT = plain('a number of messages', (value) => Number.isSafeInteger(value) && value >= 0);
export const UUID = plain('an id', isText);
export const LIST = plain('a list', (value) => Array.isArray(value) && value.every(isObject));
export const RULES = shape('the rules of a stream', ({ senders }) => isText(senders) || Array.isArray(senders));
// A body with one member, which is a list; the list is the result.
export const pageOf = (member) => ({ name: `a page of ${member}`, read: (value) => LIST.read(value?.[member]) });
// An answer that may be 204 instead, which results in null; NOTHING is always 204.
export const orNothing = (expected) => ({ ...expected, mayBeEmpty: true });
export const NOTHING = orNothing(plain('no content', () => false));
export const PAGE = { name: 'a page of the history', read: readPage };

export const STATE = { name: 'the retained messages of a stream', read: readFrames };

function readPage(value) {
  return Number.isSafeInteger(value?.first) ? readFrames(value) : undefined;
}

function readFrames(value) {
  if (!isObject(value) || !Array.isArray(value.messages) || !isTextOrMissing(value.epoch)) return undefined;
  if (!Number.isSafeInteger(value.last)) return undefined;
  try {
    return { ...value, messages: value.messages.map(parseFrame) };
  } catch {
    return undefined;
  }
}

const TYPES = { json: /^application\/(json|[\w.-]+\+json)\s*(;|$)/i, events: /^text\/event-stream\s*(;|$)/i };

// Throws unless the content type is that of `type`: json or events. `expected` names the answer in the error.
export function checkType(response, type, expected) {
  const found = response.headers.get('content-type');
  if (!TYPES[type].test(found ?? '')) throw unexpected(response, expected, found ?? 'no content type');
}

// Returns the value of JSON text. Throws when it does not have the shape.
export function readAnswer(response, text, expected) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // A sidecar sends valid JSON, so the answer was cut off on its way. The status 0 says that a retry may succeed.
    throw new SealcastError('unexpected_answer', `the answer of ${addressOf(response)} was cut off`, { cause });
  }
  const read = expected.read(value);
  if (read === undefined) throw unexpected(response, expected.name, 'other JSON');
  return read;
}

function unexpected(response, expected, found) {
  const { status } = response;
  const message = `${addressOf(response)} answered ${status} with ${found} instead of ${expected}`;
  const advice = 'url must be the address of a sidecar; a proxy in front of it must not answer with a login page';
  return new SealcastError('unexpected_answer', `${message}; ${advice}`, { status });
}
