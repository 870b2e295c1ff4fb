// Reads each stream on each transport as a client of that transport does, and records the frames for the checker.
import { setTimeout as pause } from 'node:timers/promises';
import { Subscriber, request } from '../integration/http.mjs';
import { isSame } from './redactions.mjs';

const BACK_OFF_MS = 100;

// In the form of checker.mjs. `arrived` is a time of performance.now().
const plain = ({ offset, prev, envelope }, arrived, rest) => ({ offset, prev, text: JSON.stringify(envelope), arrived, ...rest });
const epochOf = (id) => String(id).split(':')[0];

// Reads the event streams of one sidecar. When a stream ends, it connects again with the last id, as EventSource does.
class EventStreams {
  frames = {};
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
      // A reset comes before all frames.
      frames.push(...subscriber.resets.splice(0).map((reset) => ({ ...reset, epoch: epochOf(subscriber.lastEventId) })));
      frames.push(...subscriber.frames.splice(0).map((frame) => plain(frame, performance.now(), { epoch: epochOf(frame.id) })));
      subscriber.arrivals.length = 0;
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

  // Whether every reader has received the newest message of each stream. `newest`: stream → envelope.
  async haveReceived(newest) {
    const { broker, target } = this.system;
    const has = (frames, text) => frames.findLast((frame) => (frame.text ?? JSON.stringify(frame.envelope)) === text);
    for (const [room, text] of Object.entries(newest)) {
      if (![...this.sse.map(({ frames }) => frames[room]), broker.frames.get(room)].every((frames) => has(frames, text))) return false;
      if (!has((await target.entries(room)).map(({ frame }) => frame), text)) return false;
    }
    return true;
  }

  // Returns reader → stream → frames. `stored`: stream → envelopes by offset.
  async deliveries(stored) {
    const { broker, target, rooms } = this.system;
    const redis = {};
    const mqtt = {};
    for (const room of rooms) {
      // The id of an entry begins with the time of day at which Redis got it.
      redis[room] = (await target.entries(room)).map(({ id, frame }) => plain(frame, parseInt(id) - performance.timeOrigin));
      mqtt[room] = await this.#repair(room, broker.frames.get(room), stored.get(room));
    }
    return { 'sse at a': this.sse[0].frames, 'sse at b': this.sse[1].frames, redis_streams: redis, mqtt };
  }

  // A killed broker loses messages that it has accepted and not yet sent. The reader sees the gap by `prev` and takes
  // the missing messages from the history: docs/delivery.md. A frame of a lost history shows no gap in the present one.
  async #repair(room, frames, stored) {
    const complete = [];
    let last = 0;
    let after = 0; // when the last frame arrived
    for (const received of frames) {
      const { arrived } = received;
      const frame = plain(received, arrived);
      const isStored = isSame(frame.text, stored[frame.offset - 1]);
      while (isStored && frame.prev > last) {
        const { json } = await request(`${this.system.urls[0]}/streams/${room}/messages?after=${last}&limit=500`);
        const missing = json.messages.filter(({ offset }) => offset <= frame.prev).map((message) => plain(message, arrived));
        if (missing.length === 0) break; // the checker reports the gap
        complete.push(...missing);
        this.repaired.push(...missing.map(({ offset }) => ({ streamId: room, offset, after, before: arrived })));
        last = missing.at(-1).offset;
      }
      complete.push(frame);
      if (!isStored || frame.offset <= last) continue;
      last = frame.offset;
      after = arrived;
    }
    return complete;
  }

  close() {
    for (const reader of this.sse) reader.close();
  }
}
