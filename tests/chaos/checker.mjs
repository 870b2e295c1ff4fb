// Holds a history against the promises of docs/delivery.md, and tells each that is broken. A history is plain data:
//
//   attempts    what each request was answered: {sender, txnId, streamId, content, status, code, text, replayed, url,
//               began, ended}; status 0 = the connection was lost before the answer. `text` is the envelope.
//   faults      what was struck: {fault, on, struck, mended}
//   run         what should have been: {seconds, scheduled, urls}: of load, how many faults, both sidecars
//   stored      the rows of the table: {sender, txnId, streamId, text}
//   logged      the offsets that were given: {streamId, offset, sender, txnId}
//   deliveries  what each reader received, reader → stream → [{offset, prev, text}], in the order of its arrival
//   repaired    what a reader of the broker took from the history: {streamId, offset, after, before}: when the frame before
//               it and the frame behind it arrived
//
// `verifies(text)` says whether an envelope is sealed as it must be; the rest needs no server. Rules about times: times.mjs.
import { checkTimes, keyOf } from './times.mjs';

const UNDECIDED = new Set([0, 429, 503]); // a later attempt under the same txn_id decides

export function check(history, verifies) {
  const { attempts, stored, logged, deliveries } = history;
  const broken = [];
  const tell = (promise, what, txnId) => broken.push({ promise, what, txnId });
  const rows = checkStored(stored, verifies, tell);
  checkAttempts(attempts, rows, tell);
  const texts = checkLogged(logged, rows, tell);
  for (const [reader, streams] of Object.entries(deliveries)) checkReader(reader, streams, texts, tell);
  checkTimes(history, tell);
  return broken;
}

function checkStored(stored, verifies, tell) {
  const rows = new Map();
  for (const row of stored) {
    if (rows.has(keyOf(row))) tell('a message is stored once', `stored twice: ${row.text}`, row.txnId);
    if (!verifies(row.text)) tell('what is stored is sealed', `its seal is wrong: ${row.text}`, row.txnId);
    rows.set(keyOf(row), row);
  }
  return rows;
}

function checkAttempts(attempts, rows, tell) {
  const messages = new Map(); // of each sender and txn_id, by what was sent
  for (const attempt of attempts) {
    const of = messages.get(keyOf(attempt)) ?? [];
    messages.set(keyOf(attempt), [...of, attempt]);
  }
  for (const [key, tries] of messages) {
    const row = rows.get(key);
    for (const attempt of tries) checkAnswer(attempt, row, tell);
    const accepted = tries.filter(({ status }) => status === 200);
    const { txnId } = tries[0];
    if (accepted.filter(({ replayed }) => !replayed).length > 1) {
      tell('one insert for a txn_id', `${accepted.length} answers say that they inserted it`, txnId);
    }
    if (accepted.length === 0 && row) tell('only what is answered 200 is stored', `stored: ${row.text}`, txnId);
    if (accepted.length === 0 && tries.every(({ status }) => UNDECIDED.has(status))) {
      tell('in doubt is resolved by a retry', `no attempt was decided: ${tries.map(({ status, code }) => `${status} ${code}`)}`, txnId);
    }
  }
  for (const [key, row] of rows) {
    if (!messages.has(key)) tell('only what was sent is stored', `nobody sent this: ${row.text}`, row.txnId);
  }
}

function checkAnswer({ status, code, text, txnId, streamId, content }, row, tell) {
  const same = row?.streamId === streamId && row && JSON.parse(row.text).d.content === content;
  if (status === 200) {
    if (!row) tell('200 means committed', `not stored: ${text}`, txnId);
    else if (row.text !== text) tell('a 200 is stored under the same signature', `answered ${text}, stored ${row.text}`, txnId);
    else if (!same) tell('what is sealed is what was sent', `sent '${content}' to ${streamId}, sealed ${text}`, txnId);
  } else if (!UNDECIDED.has(status) && same) {
    tell('nothing that is refused is stored', `answered ${status} ${code}, stored ${row.text}`, txnId);
  }
}

// Of each stream the texts of its envelopes, by offset.
function checkLogged(logged, rows, tell) {
  const texts = new Map();
  const placed = new Set();
  const order = (a, b) => (a.streamId < b.streamId ? -1 : a.streamId > b.streamId ? 1 : a.offset - b.offset);
  for (const entry of [...logged].sort(order)) {
    const { streamId, offset, txnId } = entry;
    if (!texts.has(streamId)) texts.set(streamId, []);
    const of = texts.get(streamId);
    if (offset !== of.length + 1) tell('offsets count from 1 without gaps', `${streamId}: ${offset} comes after ${of.length}`, txnId);
    if (placed.has(keyOf(entry))) tell('a message has one offset', `${streamId}: ${offset} is its second`, txnId);
    placed.add(keyOf(entry));
    of[offset - 1] = rows.get(keyOf(entry))?.text;
    if (!of[offset - 1]) tell('only what is stored has an offset', `${streamId}: ${offset}`, txnId);
  }
  for (const [key, { txnId, streamId }] of rows) {
    if (!placed.has(key)) tell('every committed message is relayed', `${streamId}: it has no offset`, txnId);
  }
  return texts;
}

// As a client reads: what is not beyond the last offset is a repeat, and `prev` tells a gap.
function checkReader(reader, streams, texts, tell) {
  for (const streamId of Object.keys(streams)) {
    if (!texts.has(streamId) && streams[streamId].length > 0) tell('only what is stored is delivered', `${reader}: a stream that has nothing, ${streamId}`);
  }
  for (const [streamId, expected] of texts) {
    let last = 0;
    for (const { offset, prev, text } of streams[streamId] ?? []) {
      const txnId = /"txn_id":"([^"]+)"/.exec(text)?.[1];
      const where = `${reader}, ${streamId}, offset ${offset}`;
      if (text !== expected[offset - 1]) tell('what is delivered is what is stored', `${where}: ${text}, stored ${expected[offset - 1]}`, txnId);
      if (prev !== offset - 1) tell('prev is the offset of the frame before', `${where}: prev is ${prev}`, txnId);
      if (offset <= last) continue;
      if (offset > last + 1) tell('each reader gets each message, in the order of offsets', `${where} comes after ${last}`, txnId);
      last = offset;
    }
    if (last < expected.length) tell('each reader gets each message, in the order of offsets', `${reader}, ${streamId}: nothing after ${last} of ${expected.length}`);
  }
}
