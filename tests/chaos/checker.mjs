// Checks a history against the guarantees of docs/delivery.md and returns each violation. A history is plain data:
//
//   attempts    one entry per request: {sender, txnId, streamId, content, status, code, text, replayed, url,
//               began, ended}. `text` is the envelope. Status 0: the connection was lost before the answer.
//   faults      the injected faults: {fault, target, injected, removed}. `injected` and `removed` are times.
//   run         the plan of the run: {seconds, scheduled, urls, began, ended}: seconds of load, number of faults, both
//               sidecars, and the times between which there is load
//   reads       one entry per page of history: {url, status, began, ended}
//   calls       one entry per call of moderation: {url, name, status, code, began, ended}
//   stored      the rows of sealcast.messages: {sender, txnId, streamId, text}
//   logged      the given offsets: {streamId, offset, sender, txnId}
//   deliveries  the received frames: reader → stream → [{offset, prev, text, arrived}], in the order of arrival. Those of
//               event streams have their epoch too, and there are resets: {reset: true, offset, epoch}
//   repaired    the frames that the broker's reader missed and took from the history: {streamId, offset, after,
//               before}. `after` and `before`: when the frames before and behind the gap arrived.
//   effects     the effects of the event handler: {sender, txnId, times}
//   redactions  one entry per call that redacts: {kind, streamId, sender, txnId, status, result, began, ended}; no txnId: a
//               purge
//   late        one entry per reader who came later and left: {path, streamId, began, ended, frames: [{offset, text}]}
//   losses      the times of which Postgres has lost commits, {from, to}: what was answered before `from`, or sent after
//               `to`, is not lost
//   epoch       of the log, at the end
//
// `verifies(text)` returns whether an envelope has a valid seal. All other checks need no server. times.mjs has the
// rules about times, calm.mjs those about the times without a fault, frames.mjs those about readers, losses.mjs those about
// lost commits, and redactions.mjs those about redacted messages.
import { checkCalm } from './calm.mjs';
import { checkFrames } from './frames.mjs';
import { checkEffects, checkLost, findLost } from './losses.mjs';
import { SYSTEM, checkRedactions, isRedacted, isSame } from './redactions.mjs';
import { UNDECIDED, checkTimes, keyOf } from './times.mjs';

export function check(history, verifies) {
  const violations = [];
  const report = (guarantee, details, txnId) => violations.push({ guarantee, details, txnId });
  const rows = checkStored(history.stored, verifies, report);
  const lost = findLost(history, rows);
  checkLost(lost, verifies, report);
  const attempts = history.attempts.filter((attempt) => !lost.has(attempt));
  checkAttempts(attempts, rows, new Set([...lost].map(keyOf)), report);
  const texts = checkLogged(history.logged, rows, report);
  checkFrames(history, texts, verifies, report);
  checkEffects(history.effects, rows, report);
  checkRedactions(history, rows, report);
  checkTimes({ ...history, attempts }, report);
  checkCalm(history, report);
  return violations;
}

function checkStored(stored, verifies, report) {
  const rows = new Map();
  for (const row of stored) {
    if (rows.has(keyOf(row))) report('a message is stored once', `stored twice: ${row.text}`, row.txnId);
    if (!verifies(row.text)) report('every stored message has a valid seal', `invalid seal: ${row.text}`, row.txnId);
    rows.set(keyOf(row), row);
  }
  return rows;
}

// `lost` are the keys of the messages that were also answered in a lost history.
function checkAttempts(attempts, rows, lost, report) {
  const messages = new Map(); // the attempts of each message, by sender and txn_id
  for (const attempt of attempts) {
    const earlier = messages.get(keyOf(attempt)) ?? [];
    messages.set(keyOf(attempt), [...earlier, attempt]);
  }
  for (const [key, tries] of messages) {
    const row = rows.get(key);
    const accepted = tries.filter(({ status }) => status === 200);
    const content = contentOf(row, accepted);
    for (const attempt of tries) checkAnswer(attempt, row, content, report);
    const inserts = accepted.filter(({ replayed }) => !replayed);
    const { txnId } = tries[0];
    if (inserts.length > 1) {
      report('a txn_id is inserted once', `${inserts.length} answers report an insert`, txnId);
    }
    if (accepted.length === 0 && row) report('every stored message was answered 200', `stored: ${row.text}`, txnId);
    if (accepted.length === 0 && !lost.has(key) && tries.every(({ status }) => UNDECIDED.has(status))) {
      report('retries decide every message', `no attempt was decided: ${tries.map(({ status, code }) => `${status} ${code}`)}`, txnId);
    }
  }
  for (const [key, row] of rows) {
    if (!messages.has(key) && row.sender !== SYSTEM) report('every stored message was sent', `no client sent this: ${row.text}`, row.txnId);
  }
}

// Returns the content of a stored message, also of a redacted one. Undefined: no answer had it.
function contentOf(row, accepted) {
  const whole = [row?.text, ...accepted.map(({ text }) => text)].find((text) => row && !isRedacted(text) && isSame(text, row.text));
  return whole && JSON.parse(whole).d.content;
}

function checkAnswer({ status, code, text, txnId, streamId, content }, row, stored, report) {
  const same = row?.streamId === streamId && row && stored === content;
  if (status === 200) {
    if (!row) report('200 means committed', `not stored: ${text}`, txnId);
    else if (!isSame(row.text, text)) report('the stored envelope is the answered envelope', `answered ${text}, stored ${row.text}`, txnId);
    else if (!same && !(stored === undefined && row.streamId === streamId)) report('the sealed message is the sent message', `sent '${content}' to ${streamId}, sealed ${text}`, txnId);
  } else if (!UNDECIDED.has(status) && same) {
    report('a refused message is not stored', `answered ${status} ${code}, stored ${row.text}`, txnId);
  }
}

// Returns the texts of the envelopes of each stream, by offset.
function checkLogged(logged, rows, report) {
  const texts = new Map();
  const withOffset = new Set();
  const order = (a, b) => (a.streamId < b.streamId ? -1 : a.streamId > b.streamId ? 1 : a.offset - b.offset);
  for (const entry of [...logged].sort(order)) {
    const { streamId, offset, txnId } = entry;
    if (!texts.has(streamId)) texts.set(streamId, []);
    const ofStream = texts.get(streamId);
    if (offset !== ofStream.length + 1) report('offsets count from 1 without gaps', `${streamId}: ${offset} follows ${ofStream.length}`, txnId);
    if (withOffset.has(keyOf(entry))) report('a message has one offset', `${streamId}: ${offset} is its second offset`, txnId);
    withOffset.add(keyOf(entry));
    ofStream[offset - 1] = rows.get(keyOf(entry))?.text;
    if (!ofStream[offset - 1]) report('every offset has a stored message', `${streamId}: ${offset}`, txnId);
  }
  for (const [key, { txnId, streamId }] of rows) {
    if (!withOffset.has(key)) report('every committed message is relayed', `${streamId}: it has no offset`, txnId);
  }
  return texts;
}
