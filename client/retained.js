// Hands over the retained messages of a stream, which a late joiner gets before all others. They may come again when a
// connection is lost while the subscription begins; each is handed over once.
export class Retained {
  #handOver;
  #last = 0; // the highest offset so far
  #done = Promise.resolve();

  // handOver(frame) is awaited.
  constructor(handOver) {
    this.#handOver = handOver;
  }

  // To be called in the order of the offsets.
  push(frame) {
    if (frame.offset <= this.#last) return;
    this.#last = frame.offset;
    this.#done = this.#done.then(() => this.#handOver({ ...frame, retained: true }));
  }

  // Resolves when the messages so far are handed over.
  get done() {
    return this.#done;
  }
}
