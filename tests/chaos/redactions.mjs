// Checks for the checker that redaction erases content for good: from Postgres, and for each reader who comes later. All
// other rules take a message and its redacted form for the same message.
import { createHash } from 'node:crypto';
import { mayBeOfLost } from './losses.mjs';
import { UNDECIDED, keyOf } from './times.mjs';

export const SYSTEM = '00000000-0000-0000-0000-000000000000';
// A stopped process, or a connection that holds bytes back, may finish a write to Redis that it began before the
// redaction: docs/moderation.md.
const DELAYS_WRITES = /^(freeze sidecar-.|hold link-redis-target|delay link-redis-target|freeze redis-target|kill redis-target)$/;
const LATE_WRITE_MS = 15_000;

const CONTENT = /"d":(.*),"sig":"/;

// Whether an envelope has lost its content.
export const isRedacted = (text) => text !== undefined && text.includes('"d":null,"payload_hash":"');

// Returns the envelope as it is without its content.
export const redactedForm = (text) =>
  isRedacted(text) ? text : text.replace(CONTENT, (_, d) => `"d":null,"payload_hash":"${createHash('sha256').update(d).digest('hex')}","sig":"`);

export const isSame = (one, other) => one === other || (one !== undefined && other !== undefined && redactedForm(one) === redactedForm(other));

// Returns whether a Redis stream may lack the entry of a stored message: it is redacted, or a history that was lost had its
// redaction. A call without a decisive answer may have been done later than the client gave up: Postgres may have waited
// for a lock when the sidecar ended.
export const entryMayLack = ({ redactions = [], losses }) => {
  const done = ({ status, ended }) => (UNDECIDED.has(status) ? Infinity : ended);
  const lost = redactions.filter((call) => losses.some(({ from, to }) => done(call) >= from && call.began <= to));
  return (text) => {
    if (isRedacted(text)) return true;
    const { s, txn_id } = JSON.parse(text);
    return lost.some(({ sender, txnId }) => sender === s && (txnId === undefined || txnId === txn_id));
  };
};

// Returns the announcements among the stored messages, each with its offset.
function announcements({ stored, logged }) {
  const offsets = new Map(logged.map((entry) => [keyOf(entry), entry.offset]));
  return stored.filter(({ sender }) => sender === SYSTEM).map((row) => {
    const { t, d } = JSON.parse(row.text);
    return { t, d, text: row.text, streamId: row.streamId, offset: offsets.get(keyOf(row)) };
  });
}

const covers = ({ t, d, streamId, offset }, row) =>
  streamId === row.streamId &&
  (t === 'message_redacted' ? d.txn_id === row.txnId && d.sender_id === row.sender
    : d.user_id === row.sender && d.since <= row.ts && row.ts <= d.through && row.offset < offset);

// `redactions` are the calls: {kind, streamId, sender, txnId, status, result, began, ended}, `late` what readers who came
// later got: {path, streamId, began, ended, frames: [{offset, text}]}.
export function checkRedactions(history, rows, report) {
  const { redactions = [], late = [], deliveries, faults, losses, logged } = history;
  const offsets = new Map(logged.map((entry) => [keyOf(entry), entry.offset]));
  const announced = announcements(history);
  const arrivals = firstArrivals(deliveries);
  for (const { t, d, text } of announced) {
    const asked = redactions.some((call) => (t === 'message_redacted' ? call.txnId === d.txn_id && call.sender === d.sender_id : !call.txnId && call.sender === d.user_id));
    if (!asked) report('each announcement of a redaction was asked for', text);
  }
  const erasedAt = new Map(); // the redacted messages: from when on no late reader may get the content
  for (const row of rows.values()) {
    if (row.sender === SYSTEM) continue;
    const message = { ...row, ts: JSON.parse(row.text).ts, offset: offsets.get(keyOf(row)) };
    const by = announced.filter((announcement) => covers(announcement, message));
    if (!isRedacted(row.text)) {
      if (by.some(({ t }) => t === 'message_redacted')) report('a redacted message has no content', `announced, and stored: ${row.text}`, row.txnId);
      continue;
    }
    if (by.length === 0) report('each redaction is announced', row.text, row.txnId);
    const known = by.map(({ text }) => arrivals.get(text) ?? Infinity);
    for (const call of redactions.filter((one) => succeeded(one) && one.txnId === row.txnId && one.sender === row.sender)) {
      if (!mayBeOfLost(losses, call.ended)) known.push(call.ended);
    }
    erasedAt.set(keyOf(row), Math.min(...known));
  }
  for (const call of redactions) {
    const row = call.txnId && rows.get(keyOf(call));
    if (!row || !succeeded(call) || isRedacted(row.text) || losses.some(({ from, to }) => call.ended >= from && call.began <= to)) continue;
    report('a redacted message has no content', `redacted at ${call.ended} ms, and stored: ${row.text}`, call.txnId);
  }
  checkLate(late, erasedAt, losses, report);
  checkOpenReaders(deliveries, report);
  checkRedis(deliveries.redis_streams ?? {}, erasedAt, faults, report);
}

const succeeded = ({ status, result }) => status === 200 && (result === true || result > 0);
const keyOfText = (text) => {
  const { s, txn_id } = JSON.parse(text);
  return keyOf({ sender: s, txnId: txn_id });
};

// The time at which the first reader got each announcement.
function firstArrivals(deliveries) {
  const arrivals = new Map();
  for (const frame of Object.values(deliveries).flatMap((streams) => Object.values(streams)).flat()) {
    if (!frame.text?.includes(`"s":"${SYSTEM}"`)) continue;
    arrivals.set(frame.text, Math.min(arrivals.get(frame.text) ?? Infinity, frame.arrived));
  }
  return arrivals;
}

function checkLate(late, erasedAt, losses, report) {
  for (const { path, streamId, began, ended, frames } of late) {
    if (mayBeOfLost(losses, began) || mayBeOfLost(losses, ended)) continue;
    for (const { offset, text } of frames) {
      if (isRedacted(text) || !(erasedAt.get(keyOfText(text)) < began)) continue;
      report('no reader who comes after a redaction gets the content', `${path}, ${streamId}, offset ${offset}, began at ${began} ms, redacted at ${erasedAt.get(keyOfText(text))} ms: ${text}`, JSON.parse(text).txn_id);
    }
  }
}

// An open reader of events gets no content behind its announcement.
function checkOpenReaders(deliveries, report) {
  for (const [reader, streams] of Object.entries(deliveries)) {
    if (!reader.startsWith('sse')) continue;
    for (const [streamId, frames] of Object.entries(streams)) {
      const seen = new Set(); // sender and txn_id of message_redacted
      for (const { reset, text, offset } of frames) {
        if (reset) seen.clear();
        else if (text.includes('"t":"message_redacted"')) {
          const { d } = JSON.parse(text);
          seen.add(keyOf({ sender: d.sender_id, txnId: d.txn_id }));
        } else if (seen.size > 0 && !isRedacted(text) && seen.has(keyOfText(text))) {
          report('no content follows the announcement of its redaction', `${reader}, ${streamId}, offset ${offset}: ${text}`);
        }
      }
    }
  }
}

// At the end, when every announcement has arrived, Redis holds no redacted content.
function checkRedis(streams, erasedAt, faults, report) {
  for (const [streamId, frames] of Object.entries(streams)) {
    for (const { offset, text } of frames) {
      const at = !isRedacted(text) && erasedAt.get(keyOfText(text));
      if (at === false || at === undefined) continue;
      const delayed = faults.some(({ fault, target, injected, removed }) =>
        DELAYS_WRITES.test(`${fault} ${target}`) && injected <= at + LATE_WRITE_MS && (removed ?? Infinity) + LATE_WRITE_MS >= at);
      if (!delayed) report('Redis holds no redacted content', `${streamId}, offset ${offset}, redacted at ${at} ms: ${text}`, JSON.parse(text).txn_id);
    }
  }
}
