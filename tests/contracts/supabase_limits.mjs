// Counts requests and events of a project, and limits them, as Supabase Realtime does. Source:
// https://github.com/supabase/realtime, 2.129.8. The names in brackets are files below lib/.

// An average of the last ticks (realtime/rate_counter/rate_counter.ex): the counts of the ticks that have ended, the first of which
// ends at once, divided by their number. The tick in progress does not count.
class RateCounter {
  #clock;
  #tickMs;
  #most;
  #buckets = [0];
  #count = 0;
  #end;

  constructor(clock, tickMs, most) {
    [this.#clock, this.#tickMs, this.#most] = [clock, tickMs, most];
    this.#end = clock() + tickMs;
  }

  add(count) {
    this.#tick();
    this.#count += count;
  }

  get average() {
    this.#tick();
    return this.#buckets.reduce((sum, count) => sum + count, 0) / this.#buckets.length / (this.#tickMs / 1000);
  }

  #tick() {
    for (; this.#clock() >= this.#end; this.#end += this.#tickMs) {
      this.#buckets = [this.#count, ...this.#buckets].slice(0, this.#most);
      this.#count = 0;
    }
  }
}

export class Limits {
  #max;
  #passed = 0; // milliseconds that pass() has added
  #requests;
  #events;
  #readers = new Map(); // topic → readers

  // A manual clock moves only by pass().
  constructor(max, manual) {
    this.#max = max;
    const clock = () => (manual ? 0 : Date.now()) + this.#passed;
    this.#requests = new RateCounter(clock, 1000, 60); // realtime/tenants.ex, requests_per_second_rate
    this.#events = new RateCounter(clock, 5000, 12); // realtime/tenants.ex, events_per_second_rate
  }

  pass(ms) {
    this.#passed += ms;
  }

  setReaders(topic, count) {
    this.#readers.set(topic, count);
  }

  get load() {
    return { requests_per_second: this.#requests.average, events_per_second: this.#events.average };
  }

  // realtime_web/plugs/assign_tenant.ex counts each request, with or without a valid key.
  countRequest() {
    this.#requests.add(1);
  }

  // realtime_web/plugs/rate_limiter.ex: the headers of each answer. "Rolling" is the average of the requests, not of the events
  // (realtime/api.ex, preload_counters), although the limit is that of events.
  get headers() {
    const rolling = Math.trunc(this.#requests.average);
    return {
      'x-rate-rolling': String(rolling),
      'x-rate-limit': String(this.#max),
      'x-rate-limit-remaining': String(this.#max - rolling),
    };
  }

  // The message of the refusal of a request, or undefined.
  refusal(messages, isBatch) {
    if (Math.trunc(this.#requests.average) >= this.#max) return 'Too many requests'; // realtime_web/plugs/rate_limiter.ex
    const events = this.#events.average;
    if (!isBatch) return events >= this.#max ? 'You have exceeded your rate limit' : undefined; // realtime/tenants/single_broadcast.ex
    // realtime/tenants/batch_broadcast.ex
    if (events > this.#max) return 'You have exceeded your rate limit';
    return messages + events > this.#max ? 'Too many messages to broadcast, please reduce the batch size' : undefined;
  }

  // Counts one event for a broadcast (realtime/tenants/single_broadcast.ex, send_message_and_count) and one for each reader who gets
  // it (realtime_web/channels/realtime_channel/message_dispatcher.ex, :update_rate_counter).
  countBroadcast(topic) {
    this.#events.add(1 + (this.#readers.get(topic) ?? 0));
  }
}
