// Checks for the checker that a fault disturbs only the parts that need the faulty part. While no fault disturbs a
// sidecar, its clients send and read, and its moderators get answers.

const NAMES = ['a', 'b']; // of the sidecars, in the order of run.urls
// Their readers wait for frames, but no client of a sidecar waits for an answer.
const HARMLESS = /^(mosquitto|redis-target|link-.*|moderator|readers-.*|log-.*)$/;
// Faults which the sidecar gets round: ms for which they disturb at most, also when they last longer.
const PASSED_AFTER_MS = { 'silence resolver': 0, 'hang first-host-a': 2000, 'hang first-host-b': 2000 };
// The sidecar starts or connects again. A hung first host adds its connect_timeout.
const RECOVERY_MS = 8000;
const WINDOW_MS = 2000; // longer than any pause of a slow machine

export function disturbs({ fault, target }, name) {
  if (HARMLESS.test(target)) return false;
  const one = /-([ab])$/.exec(target)?.[1];
  return !one || one === name;
}

// Returns the times of the load, [began, ended], in which no fault disturbs the sidecar.
function calmTimes({ run, faults }, name) {
  const disturbed = faults.filter((fault) => disturbs(fault, name)).map((fault) => {
    const passed = fault.injected + (PASSED_AFTER_MS[`${fault.fault} ${fault.target}`] ?? Infinity);
    return [fault.injected, Math.min(fault.removed ?? Infinity, passed) + RECOVERY_MS];
  });
  const calm = [];
  let from = run.began;
  for (const [began, ended] of [...disturbed.sort(([a], [b]) => a - b), [Infinity, Infinity]]) {
    const to = Math.min(began, run.ended);
    if (to > from) calm.push([from, to]);
    from = Math.max(from, ended);
  }
  return calm;
}

const windowsOf = ([began, ended]) =>
  Array.from({ length: Math.floor((ended - began) / WINDOW_MS) }, (_, i) => [began + i * WINDOW_MS, began + (i + 1) * WINDOW_MS]);

export function checkCalm(history, report) {
  const { run, attempts, reads, calls } = history;
  for (const [i, url] of run.urls.entries()) {
    const calm = calmTimes(history, NAMES[i]);
    const at = (list) => list.filter((entry) => entry.url === url);
    const lists = { message: at(attempts), read: at(reads) };
    for (const [began, ended] of calm.flatMap(windowsOf)) {
      for (const [kind, list] of Object.entries(lists)) {
        if (list.some((entry) => entry.status === 200 && entry.ended >= began && entry.ended <= ended)) continue;
        report(`a fault elsewhere stops no ${kind}`, `${url} answered none from ${began} to ${ended} ms, and no fault disturbed it`);
      }
    }
    checkCalls(at(calls), calm, report);
  }
}

// A call that waits for the transaction of another moderator is carried out, or refused with 503.
function checkCalls(calls, calm, report) {
  for (const { name, status, code, began, ended, url } of calls) {
    const undisturbed = calm.some(([from, to]) => began >= from && ended <= to);
    const allowed = [200, 204, 429, 503, ...(undisturbed ? [] : [0])];
    if (!allowed.includes(status)) {
      report('a call of moderation is carried out or refused with 503', `${name} at ${url}: ${status} ${code}, from ${began} to ${ended} ms`);
    }
  }
}
