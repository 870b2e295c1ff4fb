// Parses Server-Sent Events (text/event-stream) from pieces of bytes. A piece may end anywhere, even within a character.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

const MAX_PENDING = 4 * 1024 * 1024; // characters of one line or event; a longer one is not from an event stream

export class EventStream {
  #decoder = new TextDecoder(); // removes the byte order mark
  #incomplete = '';
  #data = [];
  #size = 0;
  #type = '';
  #onEvent;
  #onRetry;

  lastEventId = '';

  // Calls onEvent({data, type, lastEventId}) and onRetry(milliseconds). `data` is null for an event that only sets the id.
  constructor({ onEvent, onRetry }) {
    this.#onEvent = onEvent;
    this.#onRetry = onRetry;
  }

  push(bytes) {
    const text = this.#incomplete + this.#decoder.decode(bytes, { stream: true });
    // Keep a carriage return at the end: the next piece may begin with its line feed.
    const end = text.endsWith('\r') ? text.length - 1 : text.length;
    let from = 0;
    for (const { index, 0: separator } of text.slice(0, end).matchAll(/\r\n|\n|\r/g)) {
      this.#readLine(text.slice(from, index));
      from = index + separator.length;
    }
    this.#incomplete = text.slice(from);
    if (this.#incomplete.length + this.#size > MAX_PENDING) {
      throw new RangeError(`an event is longer than ${MAX_PENDING} characters`);
    }
  }

  #readLine(line) {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    } else if (field === 'event') {
      this.#type = value;
    } else if (field === 'id' && !value.includes('\0')) {
      this.lastEventId = value;
    } else if (field === 'retry' && /^\d+$/.test(value)) {
      this.#onRetry(Number(value));
    }
  }

  #dispatch() {
    const data = this.#data.length > 0 ? this.#data.join('\n') : null;
    const type = this.#type || 'message';
    this.#data = [];
    this.#size = 0;
    this.#type = '';
    this.#onEvent({ data, type, lastEventId: this.lastEventId });
  }
}
