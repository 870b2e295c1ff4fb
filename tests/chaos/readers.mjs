// Reads each stream on each transport as a client of that transport does, and records the frames for the checker.
import { setTimeout as pause } from 'node:timers/promises';
import { Subscriber, request } from '../integration/http.mjs';

const BACK_OFF_MS = 100;

const plain = ({ offset, prev, envelope }) => ({ offset, prev, text: JSON.stringify(envelope) });

// Reads the event streams of one sidecar. When a stream ends, it connects again with the last id, as EventSource does.
class EventStreams {
  frames = {};
  violations = [];
  #closed = false;
  #open = new Set();

  constructor(url, rooms) {
    for (const room of rooms) {
      this.frames[room] = [];
      this.#follow(url, room);
    }
  }

  async #follow(url, room) {
    let lastEventId = 0;
    while (!this.#closed) {
      try {
        const subscriber = await Subscriber.to(url, room, { lastEventId });
        this.#open.add(subscriber);
        await this.#read(subscriber, this.frames[room]);
        this.#open.delete(subscriber);
        lastEventId = subscriber.lastEventId;
      } catch {
        await pause(BACK_OFF_MS); // the sidecar refused, or did not answer with an event stream
      }
    }
  }

  async #read(subscriber, frames) {
    for (;;) {
      frames.push(...subscriber.frames.splice(0).map(plain));
      subscriber.arrivals.length = 0;
      for (const reset of subscriber.resets.splice(0)) {
        this.violations.push({ guarantee: 'a resume point within the retention gets no reset', details: JSON.stringify(reset) });
      }
      if (!subscriber.open) return;
      await new Promise((resolve) => subscriber.once('changed', resolve));
    }
  }

  close() {
    this.#closed = true;
    for (const subscriber of this.#open) subscriber.close();
  }
}

export class Readers {
  repaired = []; // in the form of checker.mjs

  constructor(system) {
    this.system = system;
    this.sse = system.urls.map((url) => new EventStreams(url, system.rooms));
  }

  get violations() {
    return this.sse.flatMap(({ violations }) => violations);
  }

  // Whether every reader has received the newest offset of each stream. `ends`: stream → newest offset.
  async haveReceived(ends) {
    const { broker, target } = this.system;
    for (const [room, end] of Object.entries(ends)) {
      for (const { frames } of this.sse) if (!(frames[room].at(-1)?.offset >= end)) return false;
      if (!(broker.frames.get(room).at(-1)?.offset >= end)) return false;
      const [newest] = await target.command('xrevrange', `sealcast:stream:${room}`, '+', '-', 'count', '1');
      if (!newest || Number(newest[1][newest[1].indexOf('offset') + 1]) < end) return false;
    }
    return true;
  }

  // Returns reader → stream → frames.
  async deliveries() {
    const { broker, target, rooms } = this.system;
    const redis = {};
    const mqtt = {};
    for (const room of rooms) {
      redis[room] = (await target.frames(room)).map(plain);
      mqtt[room] = await this.#repair(room, broker.frames.get(room));
    }
    return { 'sse at a': this.sse[0].frames, 'sse at b': this.sse[1].frames, redis_streams: redis, mqtt };
  }

  // A killed broker loses messages that it has accepted and not yet sent. The reader sees the gap by `prev` and takes
  // the missing messages from the history: docs/delivery.md.
  async #repair(room, frames) {
    const complete = [];
    let last = 0;
    let after = 0; // when the last frame arrived
    for (const { arrived, ...frame } of frames) {
      while (frame.prev > last) {
        const { json } = await request(`${this.system.urls[0]}/streams/${room}/messages?after=${last}&limit=500`);
        const missing = json.messages.filter(({ offset }) => offset <= frame.prev).map(plain);
        if (missing.length === 0) break; // the checker reports the gap
        complete.push(...missing);
        this.repaired.push(...missing.map(({ offset }) => ({ streamId: room, offset, after, before: arrived })));
        last = missing.at(-1).offset;
      }
      complete.push(plain(frame));
      if (frame.offset <= last) continue;
      last = frame.offset;
      after = arrived;
    }
    return complete;
  }

  close() {
    for (const reader of this.sse) reader.close();
  }
}
