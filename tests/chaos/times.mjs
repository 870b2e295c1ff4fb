// What the checker finds by what came before what. All times are ms of one monotonic clock: performance.now() of the run.

// A fault that is mended still has its effect for a while: programs start, connect and subscribe again.
const AFTERMATH_MS = 5000;

// Whether something that began and ended then may have met such a fault.
function met(faults, { began, ended }, strikes) {
  return faults.some((fault) => strikes(fault) && began <= (fault.mended ?? Infinity) + AFTERMATH_MS && ended >= fault.struck);
}

// Only a broker that was killed may have lost what it had taken, and then what its reader would have had around that time.
export function checkRepaired({ repaired, faults }, tell) {
  const killed = ({ fault, on }) => fault === 'kill' && on === 'mosquitto';
  for (const { streamId, offset, after, before } of repaired) {
    if (met(faults, { began: after, ended: before }, killed)) continue;
    tell('a broker that lives gets everything', `${streamId}: ${offset} was in the history only, and no broker was killed from ${after} to ${before}`);
  }
}
