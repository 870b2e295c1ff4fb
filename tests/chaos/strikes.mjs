// Strikes a system by a schedule, and notes what happened when. What cannot be struck or mended is a finding; the rest goes on.
import { setTimeout as pause } from 'node:timers/promises';

export class Strikes {
  faults = []; // {fault, on, lasts, struck, mended, clock}: ms of performance.now(), and the time of day for the logs
  problems = [];

  constructor(system, say) {
    Object.assign(this, { system, say });
  }

  // Ends when everything is mended, or will not be.
  async run(events) {
    const began = performance.now();
    const now = () => performance.now() - began;
    const say = (what) => this.say(`${(now() / 1000).toFixed(1).padStart(7)} s  ${what}`);
    const last = new Map(); // of what strikes the same: one after the other, as mending may take its time
    for (const event of events) {
      await pause(Math.max(0, event.at - now()));
      last.set(event.on, this.#strike(event, last.get(event.on), say));
    }
    await Promise.all(last.values());
  }

  async #strike(event, before, say) {
    const { fault, on, lasts } = event;
    await before;
    const entry = { fault, on, lasts, struck: performance.now(), clock: Date.now() };
    try {
      const mend = await this.system.strike(event);
      this.faults.push(entry);
      say(`${fault} ${on}, ${lasts} ms`);
      await pause(lasts);
      await mend();
      entry.mended = performance.now();
      say(`${on} is mended`);
    } catch (error) {
      this.problems.push({ promise: 'the system mends', what: `${fault} ${on}: ${error.stack}` });
      say(`${on} is not mended: ${error.message}`);
    }
  }
}
