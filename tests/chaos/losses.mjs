// Checks for the checker that a fault which takes the history of Postgres back loses only what it may lose: the messages
// that were sent and answered around the time that is lost.
import { SYSTEM, isSame } from './redactions.mjs';
import { keyOf } from './times.mjs';

// A frozen sidecar, or a connection that holds bytes back, may deliver a frame of a lost history so much later.
const LATE_MS = 15_000;

// Whether an attempt that has this answer may be of a history that was lost.
const mayBeLost = (losses, { began, ended }) => losses.some(({ from, to }) => ended >= from && began <= to);

// Whether a frame that arrived at this time may be of a history that was lost.
export const mayBeOfLost = (losses, arrived) => losses.some(({ from, to }) => arrived >= from && arrived <= to + LATE_MS);

// Returns the attempts whose answers hold only in a history that was lost: the acceptance of a message that Postgres does
// not have, or has under another envelope; and the refusal of other content under the txn_id of such a message.
export function findLost({ attempts, losses }, rows) {
  const lost = new Set(attempts.filter((attempt) => attempt.status === 200 && !isSame(attempt.text, rows.get(keyOf(attempt))?.text) && mayBeLost(losses, attempt)));
  const keys = new Set([...lost].map(keyOf));
  for (const attempt of attempts) {
    if (attempt.status === 409 && keys.has(keyOf(attempt)) && losses.some(({ to }) => attempt.began <= to)) lost.add(attempt);
  }
  return lost;
}

// In its own history, a lost message was inserted once and under a valid seal.
export function checkLost(lost, verifies, report) {
  const inserted = new Set();
  for (const { status, replayed, text, txnId, content } of lost) {
    if (status !== 200) continue;
    if (!verifies(text)) report('every answered envelope has a valid seal', `invalid seal: ${text}`, txnId);
    const { d } = JSON.parse(text);
    if (d !== null && d.content !== content) report('the sealed message is the sent message', `sent '${content}', sealed ${text}`, txnId);
    if (!replayed && inserted.has(text)) report('a txn_id is inserted once', `two answers report the insert of ${text}`, txnId);
    if (!replayed) inserted.add(text);
  }
}

// Event handlers have one effect for each stored message, and none for a lost one.
export function checkEffects(effects, rows, report) {
  const times = new Map(effects.map((effect) => [keyOf(effect), effect.times]));
  for (const [key, { sender, txnId, text }] of rows) {
    if (sender === SYSTEM) continue; // the handler is for messages of users
    if (times.get(key) !== 1) report('each stored message has its effect once', `${times.get(key) ?? 0} effects of ${text}`, txnId);
  }
  for (const effect of effects) {
    if (!rows.has(keyOf(effect))) report('only stored messages have effects', `there is an effect of ${keyOf(effect)}`, effect.txnId);
  }
}
