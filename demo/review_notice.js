// Tells a user which of their messages wait for a moderator, and what came of them.
import { plural, shortened } from './texts.js';

const ASK_MS = 5000;
const REFUSED = { held_denied: 'was not accepted', held_expired: 'was not reviewed in time' };

export class ReviewNotice {
  #line;
  #client;
  #streamId;
  #onHeld;
  #waiting = new Map(); // txn_id → d; the one that was asked about longest ago is first
  #outcome = '';
  #timer;

  // onHeld() is called when a message begins to wait.
  constructor(section, { client }, { streamId, onHeld }) {
    this.#line = section.querySelector('.review');
    this.#client = client;
    this.#streamId = streamId;
    this.#onHeld = onHeld;
  }

  // To be called with the server's answer to a message.
  sent(answer, d) {
    this.#outcome = '';
    if (answer.held) {
      this.#waiting.set(answer.txn_id, d);
      this.#onHeld();
    }
    this.#show();
  }

  // To be called with each message of this user in the stream.
  arrived({ txn_id: txnId }) {
    this.#decided(txnId, 'was approved', 'good');
  }

  // The stream brings an approved message, but nothing says that one is denied. A repeat under its txn_id tells the outcome.
  async #ask() {
    const [txnId, d] = this.#waiting.entries().next().value;
    try {
      const answer = await this.#client.sendMessage(this.#streamId, 'chat', d, { txnId, giveUpAfterMs: 0 });
      if (!answer.held) this.arrived(answer);
    } catch ({ code, details }) {
      if (REFUSED[code]) this.#decided(txnId, REFUSED[code] + (details ? `: ${details}` : ''), 'bad');
    }
    if (this.#waiting.delete(txnId)) this.#waiting.set(txnId, d);
    this.#askLater();
  }

  #askLater() {
    clearTimeout(this.#timer);
    if (this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => (document.hidden ? this.#askLater() : this.#ask()), ASK_MS);
  }

  #decided(txnId, outcome, tone) {
    const d = this.#waiting.get(txnId);
    if (!this.#waiting.delete(txnId)) return;
    this.#outcome = `Your message “${shortened(d.content)}” ${outcome.replace(/\.?$/, '.')} `;
    this.#line.dataset.tone = tone;
    this.#show();
  }

  #show() {
    const [first] = this.#waiting.values();
    const one = first && `Your message “${shortened(first.content)}” waits for review.`;
    const many = `${plural(this.#waiting.size, 'message')} of yours wait for review.`;
    const waiting = this.#waiting.size > 1 ? many : (one ?? '');
    const text = `${this.#outcome}${waiting}`.trim();
    if (text !== this.#line.textContent) this.#line.textContent = text; // a screen reader announces each change
    if (!this.#outcome) this.#line.dataset.tone = 'wait';
    this.#askLater();
  }
}
