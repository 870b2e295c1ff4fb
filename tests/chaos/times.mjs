// What the checker finds by what came before what. All times are ms of one monotonic clock: performance.now() of the run.

// A fault that is mended still has its effect for a while: programs start, connect and subscribe again.
const AFTERMATH_MS = 5000;
// So little is stored in a second only by a system that does not work. (A slow machine under other load: a hundred.)
const STORED_A_SECOND = 5;
// The codes of 429 and 503 with which nothing was inserted, by docs/errors.md.
export const INSERTED_NOTHING = new Set(['rate_limited', 'gate_unavailable', 'overloaded']);

export const keyOf = ({ sender, txnId }) => `${sender} ${txnId}`;

export function checkTimes(history, tell) {
  checkRun(history, tell);
  checkOrder(history, tell);
  checkReplays(history, tell);
  checkRepaired(history, tell);
}

// Whether something that began and ended then may have met such a fault.
function met(faults, { began, ended }, strikes) {
  return faults.some((fault) => strikes(fault) && began <= (fault.mended ?? Infinity) + AFTERMATH_MS && ended >= fault.struck);
}

// A run in which nothing happens breaks nothing either.
function checkRun({ attempts, faults, stored, run }, tell) {
  const not = (what) => tell('the run proves something', what);
  const mended = faults.filter((fault) => fault.mended);
  if (stored.length < run.seconds * STORED_A_SECOND) not(`${stored.length} messages are stored in ${run.seconds} s`);
  if (mended.length < run.scheduled) not(`${mended.length} of ${run.scheduled} faults have struck and were mended`);
  const last = Math.max(0, ...mended.map((fault) => fault.mended));
  for (const url of run.urls) {
    const works = attempts.some((attempt) => attempt.url === url && attempt.status === 200 && attempt.began > last);
    if (!works) not(`${url} accepted nothing after the last fault was mended`);
  }
}

// A message that is sent after another one was answered comes after it, whoever sends them.
function checkOrder({ attempts, logged }, tell) {
  const messages = new Map(); // when the first attempt of each began, and when the first 200 was there
  for (const attempt of attempts) {
    const message = messages.get(keyOf(attempt)) ?? { began: Infinity, answered: Infinity };
    message.began = Math.min(message.began, attempt.began);
    if (attempt.status === 200) message.answered = Math.min(message.answered, attempt.ended);
    messages.set(keyOf(attempt), message);
  }
  const latest = new Map(); // of each stream, the entry whose message was sent last, up to here
  for (const entry of [...logged].sort((a, b) => a.offset - b.offset)) {
    const message = messages.get(keyOf(entry));
    if (!message) continue;
    const before = latest.get(entry.streamId);
    if (before && message.answered < before.began) {
      tell('what is sent after an answer comes after it', `${entry.streamId}: ${entry.offset} was answered before ${before.offset} was sent`, entry.txnId);
    }
    if (!before || message.began > before.began) latest.set(entry.streamId, { offset: entry.offset, began: message.began });
  }
}

// A repeat has an original: something that may have inserted the message began before the repeat was answered. That may be
// the same request, when the sidecar lost its connection to Postgres and sent the batch again.
function checkReplays({ attempts, faults }, tell) {
  const database = ({ on }) => on.startsWith('postgres');
  const mayHaveInserted = (attempt) => {
    if (attempt.status === 200) return !attempt.replayed || met(faults, attempt, database);
    return attempt.status === 0 || (attempt.status >= 500 && !INSERTED_NOTHING.has(attempt.code));
  };
  const inserting = new Map(); // when the first such attempt of each message began
  for (const attempt of attempts.filter(mayHaveInserted)) {
    inserting.set(keyOf(attempt), Math.min(attempt.began, inserting.get(keyOf(attempt)) ?? Infinity));
  }
  for (const attempt of attempts) {
    if (attempt.status !== 200 || !attempt.replayed || inserting.get(keyOf(attempt)) < attempt.ended) continue;
    tell('a repeat has an original', `no attempt before it can have inserted ${attempt.text}`, attempt.txnId);
  }
}

// Only a broker that was killed may have lost what it had taken, and then what its reader would have had around that time.
function checkRepaired({ repaired, faults }, tell) {
  const killed = ({ fault, on }) => fault === 'kill' && on === 'mosquitto';
  for (const { streamId, offset, after, before } of repaired) {
    if (met(faults, { began: after, ended: before }, killed)) continue;
    tell('a broker that lives gets everything', `${streamId}: ${offset} was in the history only, and no broker was killed from ${after} to ${before}`);
  }
}
