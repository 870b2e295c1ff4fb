// Injects faults into a system by a schedule and records the times. A fault that cannot be injected or removed is a
// violation; the other faults continue.
import { setTimeout as pause } from 'node:timers/promises';
import { within } from '../integration/waiting.mjs';

const LIMIT_MS = 120_000; // for an injection or a removal; a part may wait for a minute itself

export class FaultInjector {
  // {fault, target, duration, injected, removed, clock}: times are ms of performance.now(). `clock` is the time of day,
  // to compare with logs.
  faults = [];
  violations = [];

  constructor(system, print, limit = LIMIT_MS) {
    Object.assign(this, { system, print, limit });
  }

  // Returns when each fault is removed or has failed.
  async run(events) {
    const began = performance.now();
    const now = () => performance.now() - began;
    const print = (text) => this.print(`${(now() / 1000).toFixed(1).padStart(7)} s  ${text}`);
    // The newest fault of each target. The next fault waits for it, because the removal may take some time.
    const newest = new Map();
    for (const event of events) {
      await pause(Math.max(0, event.at - now()));
      newest.set(event.target, this.#inject(event, newest.get(event.target), print));
    }
    await Promise.all(newest.values());
  }

  async #inject(event, previous, print) {
    const { fault, target, duration } = event;
    await previous;
    const record = { fault, target, duration, injected: performance.now(), clock: Date.now() };
    try {
      const remove = await within('the fault is injected', this.system.inject(event), this.limit);
      this.faults.push(record);
      print(`${fault} ${target}, ${duration} ms`);
      await pause(duration);
      await within('the fault is removed', remove(), this.limit);
      record.removed = performance.now();
      print(`${fault} ${target} is removed`);
    } catch (error) {
      this.violations.push({ guarantee: 'the system recovers', details: `${fault} ${target}: ${error.stack}` });
      print(`${fault} ${target} failed: ${error.message}`);
    }
  }
}
