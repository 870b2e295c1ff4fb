// The form in which a user writes. It shows what keeps the user from sending: a mute, a ban, or a rule of the stream, and
// counts down a mute and the pause of a slow mode.
import { disable } from './make.js';
import { countdown, Restrictions } from './restrictions.js';
import { clearVerdict, showVerdict } from './verdict.js';

const GIVE_UP_AFTER_MS = 10_000;
const TICK_MS = 250;
const REFUSALS = { user_muted: 'muted', user_banned: 'banned' };

export class Composer {
  #form;
  #button;
  #state;
  #verdict;
  #user;
  #streamId;
  #review; // the ReviewNotice
  #rules = null;
  #restrictions = new Restrictions(); // of notices. Without notices, as on MQTT, a refusal tells of a restriction
  #restriction = null; // {name, until} of the last refusal; until null: without an end that the server states
  #refusedBySenders = false; // the rules exclude this user, as the server said
  #readyAt = 0; // when the pause of the slow mode ends
  #timer;
  #sending = false;
  #unsent = null; // {content, txnId} of the last message that the server has not accepted

  constructor(section, user, streamId, review) {
    this.#review = review;
    this.#form = section.querySelector('.composer');
    this.#button = this.#form.querySelector('button');
    this.#state = this.#form.querySelector('.state');
    this.#verdict = section.querySelector('.verdict');
    this.#user = user;
    this.#streamId = streamId;
    disable(this.#form.elements.content, user.whyNot);
    this.#button.title = user.whyNot;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#show();
  }

  // Owners and moderators are exempt from the rules.
  showRules(rules) {
    if (this.#user.moderates) return;
    this.#rules = rules;
    this.#refusedBySenders = false;
    this.#readyAt = rules.slow_mode_s === null ? 0 : Math.min(this.#readyAt, Date.now() + rules.slow_mode_s * 1000);
    this.#show();
  }

  showNotice(notice) {
    if (this.#restrictions.apply(notice)) this.#restriction = null;
    this.#show();
  }

  // To be called when no more notices will come.
  forgetNotices() {
    this.#restrictions.clear();
    this.#show();
  }

  // The same text keeps its txn_id until the server has accepted it, so that sending it again cannot send it twice.
  async #send() {
    const { content: input } = this.#form.elements;
    const content = input.value;
    if (this.#button.disabled) return;
    if (this.#unsent?.content !== content) this.#unsent = { content, txnId: crypto.randomUUID() };
    this.#sending = true;
    this.#show();
    clearVerdict(this.#verdict);
    try {
      const options = { txnId: this.#unsent.txnId, giveUpAfterMs: GIVE_UP_AFTER_MS };
      const begun = Date.now();
      const answer = await this.#user.client.sendMessage(this.#streamId, 'chat', { content }, options);
      this.#unsent = null;
      this.accepted(begun, answer, { content });
      if (input.value === content) input.value = '';
    } catch (error) {
      this.refused(error);
      showVerdict(this.#verdict, error);
    }
    this.#sending = false;
    this.#show();
    input.focus();
  }

  // To be called when the server has accepted a message of this user, with the time of the request and the answer. A message
  // that is held for review counts as accepted.
  accepted(begun, answer, d) {
    this.#review.sent(answer, d);
    this.#restriction = null;
    this.#restrictions.clear();
    this.#refusedBySenders = false;
    if (this.#rules?.slow_mode_s) this.#readyAt = begun + this.#rules.slow_mode_s * 1000;
    this.#show();
  }

  // To be called when the server has refused a message of this user.
  refused({ code, retryAfterMs = null }) {
    const until = retryAfterMs === null ? null : Date.now() + retryAfterMs;
    if (REFUSALS[code]) this.#restriction = { name: REFUSALS[code], until };
    if (code === 'slow_mode') this.#readyAt = until;
    if (code === 'role_required') {
      this.#restriction = null; // the server checks it first, so it has ended
      this.#refusedBySenders = true;
    }
    this.#show();
  }

  #show() {
    clearTimeout(this.#timer);
    const now = Date.now();
    if ((this.#restriction?.until ?? Infinity) <= now) this.#restriction = null;
    const stated = this.#restrictions.strictest(now);
    const restriction = stated ?? this.#restriction;
    const wait = Math.ceil((this.#readyAt - now) / 1000);
    const text = this.#text(restriction, wait);
    // A screen reader announces each change, so the seconds are only on the button.
    if (this.#state.textContent !== text) this.#state.textContent = text;
    this.#state.dataset.tone = restriction ? 'bad' : 'warn';
    this.#button.textContent = stated ? countdown(stated, now) : wait > 0 ? `Wait ${wait} s` : 'Send';
    this.#button.disabled = !this.#user.hasSession || this.#sending || wait > 0 || stated !== null;
    if (wait > 0 || restriction?.until) this.#timer = setTimeout(() => this.#show(), TICK_MS);
  }

  #text(restriction, wait) {
    if (restriction) {
      const { name, until } = restriction;
      const end = until === null ? '' : ` until ${new Date(until).toLocaleTimeString([], { timeStyle: 'short' })}`;
      return `You are ${name}${end}.`;
    }
    if (this.#refusedBySenders) return 'Members only: you can read, but not write.';
    if (wait > 0) return `Slow mode: one message every ${this.#rules?.slow_mode_s ?? wait} s.`;
    return '';
  }
}
