// What the checker finds by what came before what. All times are ms of one monotonic clock: performance.now() of the run.

// A fault that is mended still has its effect for a while: programs start, connect and subscribe again.
const AFTERMATH_MS = 5000;
// So little is stored in a second only by a system that does not work. (A slow machine under other load: a hundred.)
const STORED_A_SECOND = 5;

export function checkTimes(history, tell) {
  checkRun(history, tell);
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

// Only a broker that was killed may have lost what it had taken, and then what its reader would have had around that time.
function checkRepaired({ repaired, faults }, tell) {
  const killed = ({ fault, on }) => fault === 'kill' && on === 'mosquitto';
  for (const { streamId, offset, after, before } of repaired) {
    if (met(faults, { began: after, ended: before }, killed)) continue;
    tell('a broker that lives gets everything', `${streamId}: ${offset} was in the history only, and no broker was killed from ${after} to ${before}`);
  }
}
