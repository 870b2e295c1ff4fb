// Checks the rules about times for the checker. All times are ms of one monotonic clock: performance.now() of the run.

// A removed fault has an effect for some more time: programs start, connect and subscribe again.
const RECOVERY_MS = 5000;
// Only a system that does not work stores fewer messages. (A slow machine with other load stores a hundred per second.)
const MIN_STORED_PER_SECOND = 5;
const MIN_SECONDS_TO_REDACT = 30;
// The codes of 429 and 503 which mean that nothing was inserted, by docs/errors.md.
export const INSERTED_NOTHING = new Set(['rate_limited', 'slow_mode', 'too_many_held', 'held_queue_full', 'gate_unavailable', 'overloaded', 'no_partition', 'database_full', 'database_read_only']);

// The statuses of answers after which a request may or may not have been done. (0: there was no answer.) A later attempt
// with the same txn_id decides.
export const UNDECIDED = new Set([0, 429, 503]);

// The targets of faults that may cut connections to Postgres.
const CUT_FROM_POSTGRES = /^(postgres|first-host-|resolver$)/;

export const keyOf = ({ sender, txnId }) => `${sender} ${txnId}`;

export function checkTimes(history, report) {
  checkRun(history, report);
  checkOrder(history, report);
  checkReplays(history, report);
  checkRepaired(history, report);
}

// Whether a fault for which `matches` is true may have had an effect between the times `began` and `ended`.
function affected(faults, { began, ended }, matches) {
  return faults.some((fault) => matches(fault) && began <= (fault.removed ?? Infinity) + RECOVERY_MS && ended >= fault.injected);
}

// A run without messages or faults would violate no other guarantee.
function checkRun({ attempts, faults, stored, run, redactions = [], late = [] }, report) {
  const reportRun = (details) => report('the run tests something', details);
  const removed = faults.filter((fault) => fault.removed);
  if (stored.length < run.seconds * MIN_STORED_PER_SECOND) reportRun(`only ${stored.length} messages are stored in ${run.seconds} s`);
  if (removed.length < run.scheduled) reportRun(`only ${removed.length} of ${run.scheduled} faults were injected and removed`);
  if (run.seconds >= MIN_SECONDS_TO_REDACT) {
    if (!redactions.some(({ status, result }) => status === 200 && result)) reportRun('nothing was redacted');
    if (!late.some(({ frames }) => frames.length > 0)) reportRun('no reader came later');
  }
  const last = Math.max(0, ...removed.map((fault) => fault.removed));
  for (const url of run.urls) {
    const works = attempts.some((attempt) => attempt.url === url && attempt.status === 200 && attempt.began > last);
    if (!works) reportRun(`${url} accepted nothing after the last fault was removed`);
  }
}

// If a message is sent after another message was answered, its offset is higher; also if the senders differ.
function checkOrder({ attempts, logged }, report) {
  const messages = new Map(); // for each message: when its first attempt began, and when its first 200 arrived
  for (const attempt of attempts) {
    const message = messages.get(keyOf(attempt)) ?? { began: Infinity, answered: Infinity };
    message.began = Math.min(message.began, attempt.began);
    if (attempt.status === 200) message.answered = Math.min(message.answered, attempt.ended);
    messages.set(keyOf(attempt), message);
  }
  const latest = new Map(); // for each stream: among the lower offsets, the message that was sent last
  for (const entry of [...logged].sort((a, b) => a.offset - b.offset)) {
    const message = messages.get(keyOf(entry));
    if (!message) continue;
    const before = latest.get(entry.streamId);
    if (before && message.answered < before.began) {
      report('a message sent after an answer has a higher offset', `${entry.streamId}: ${entry.offset} was answered before ${before.offset} was sent`, entry.txnId);
    }
    if (!before || message.began > before.began) latest.set(entry.streamId, { offset: entry.offset, began: message.began });
  }
}

// Before a replayed answer ended, an attempt that may have inserted the message must have begun. It can be the same
// attempt: a sidecar that loses its connection to Postgres sends the batch again.
function checkReplays({ attempts, faults }, report) {
  const onDatabase = ({ target }) => CUT_FROM_POSTGRES.test(target);
  const mayHaveInserted = (attempt) => {
    if (attempt.status === 200) return !attempt.replayed || affected(faults, attempt, onDatabase);
    return attempt.status === 0 || (attempt.status >= 500 && !INSERTED_NOTHING.has(attempt.code));
  };
  const inserting = new Map(); // for each message: when the first such attempt began
  for (const attempt of attempts.filter(mayHaveInserted)) {
    inserting.set(keyOf(attempt), Math.min(attempt.began, inserting.get(keyOf(attempt)) ?? Infinity));
  }
  for (const attempt of attempts) {
    if (attempt.status !== 200 || !attempt.replayed || inserting.get(keyOf(attempt)) < attempt.ended) continue;
    report('a replayed answer has an original', `no earlier attempt can have inserted ${attempt.text}`, attempt.txnId);
  }
}

// Only a killed broker may lose messages that it has accepted, and only those of the time around the fault.
function checkRepaired({ repaired, faults }, report) {
  const brokerKilled = ({ fault, target }) => fault === 'kill' && target === 'mosquitto';
  for (const { streamId, offset, after, before } of repaired) {
    if (affected(faults, { began: after, ended: before }, brokerKilled)) continue;
    report('a broker that is not killed loses nothing', `${streamId}: only the history had ${offset}, and no broker was killed from ${after} to ${before}`);
  }
}
