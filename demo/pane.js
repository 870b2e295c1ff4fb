// One user's side of the room: shows the stream's messages.
import { Composer } from './composer.js';
import { make } from './make.js';
import { MessageActions } from './message_actions.js';
import { MessageLine } from './message_line.js';
import { rulesText } from './rules_text.js';
import { showDone } from './verdict.js';

const MAX_LINES = 300;
// System messages that the list shows, and how.
const NOTICES = {
  transport_migrate: ({ target }) => `The stream moves to ${String(target).toUpperCase()}`,
  stream_rules: rulesText,
  pinned: ({ offset, note }) => (offset === null ? 'No message is pinned' : `Message ${offset} is pinned${note ? `: ${note}` : ''}`),
};
const HIDDEN_TYPES = ['viewer_count_update', 'sampling_update', 'message_redacted', 'messages_purged'];
const SYSTEM_TYPES = new Set([...Object.keys(NOTICES), ...HIDDEN_TYPES]);

export class Pane {
  #section;
  #list;
  #lines = new WeakMap(); // element of the list → MessageLine
  #user;
  #room; // {streamId, nameOf, openEnvelope, askForReport}
  #actions;
  #verdict;
  #subscription = null;
  #tabStop = null;
  #isAtEnd = true;

  constructor(section, user, room) {
    this.#section = section;
    this.#list = section.querySelector('.messages');
    this.#user = user;
    this.#room = room;
    this.#verdict = section.querySelector('.verdict');
    this.#actions = new MessageActions(user, room, this.#verdict);
    this.composer = new Composer(section, user, room.streamId);
    this.#list.addEventListener('keydown', (event) => this.#moveFocus(event));
    // The list stays at its end when it gets a message, and when the composer below it grows.
    this.#list.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#list;
      this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 60;
    });
    new ResizeObserver(() => this.#keepAtEnd()).observe(this.#list);
    // Both sides show every message. A screen reader announces only those of the side that has the focus.
    section.addEventListener('focusin', () => (this.#list.ariaLive = 'polite'));
    section.addEventListener('focusout', () => (this.#list.ariaLive = 'off'));
  }

  get transport() {
    return this.#subscription?.transport;
  }

  showTransport(label) {
    this.#section.querySelector('.via').textContent = `reads over ${label}`;
  }

  get status() {
    return this.#subscription?.status ?? 'connecting';
  }

  // Shows the history and subscribes to the messages after it. `callbacks` are options of the subscription, and onFrame.
  begin({ messages, last }, transport, { onFrame, onRules, ...callbacks }) {
    messages.forEach((frame) => this.#show(frame));
    const handle = (frame) => {
      this.#show(frame);
      onFrame(frame);
    };
    this.#subscription = this.#user.client.subscribeStreamEvents(this.#room.streamId, handle, {
      ...callbacks,
      from: last,
      transport,
      onRewound: ({ offset }) => {
        for (const line of [...this.#list.children]) if (Number(line.dataset.offset) > offset) line.remove();
      },
      onRedacted: (redaction) => this.#showRedaction(redaction),
      onRules: (rules) => {
        this.composer.showRules(rules);
        onRules(this, rules);
      },
    });
  }

  showRules(rules) {
    this.#section.querySelector('.rules').textContent = rulesText(rules);
  }

  #showRedaction(redaction) {
    const applied = [...this.#list.children].filter((line) => this.#lines.get(line)?.apply(redaction));
    this.#keepAtEnd();
    const isOfMine = redaction.senderId === this.#user.id && redaction.by !== this.#user.id;
    if (applied.length === 0 || !isOfMine) return;
    const what = applied.length === 1 ? 'your message' : `${applied.length} of your messages`;
    showDone(this.#verdict, `A moderator deleted ${what}.`);
  }

  #show(frame) {
    const { offset, envelope } = frame;
    if (!envelope) return; // the message is gone
    const line = NOTICES[envelope.t] && envelope.d ? notice(envelope) : this.#line(frame);
    if (!line) return;
    const list = this.#list;
    if (document.activeElement !== this.#tabStop) this.#setTabStop(line.querySelector('[data-act=open]') ?? this.#tabStop);
    line.dataset.offset = offset;
    list.append(line);
    while (list.childElementCount > MAX_LINES) list.firstElementChild.remove();
    this.#keepAtEnd();
  }

  #keepAtEnd() {
    if (this.#isAtEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #line(frame) {
    const { envelope } = frame;
    if (SYSTEM_TYPES.has(envelope.t)) return null;
    const name = this.#room.nameOf(envelope.s);
    const isMine = envelope.s === this.#user.id;
    const line = new MessageLine(frame, { name, isMine, actions: this.#actions.of(frame) });
    this.#lines.set(line.element, line);
    return line.element;
  }

  // The Tab key reaches only one of the list's buttons, at first the newest. The arrow keys reach the others: up and down
  // those of the other messages, left and right those of the same message.
  #setTabStop(button) {
    if (this.#tabStop) this.#tabStop.tabIndex = -1;
    if (button) button.tabIndex = 0;
    this.#tabStop = button;
  }

  #moveFocus(event) {
    const { key, target } = event;
    const line = target.closest('li');
    if (!line) return;
    if (key === 'Delete') line.querySelector('[data-act=delete]')?.click();
    const beside = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const next = { ArrowUp: 'previousElementSibling', ArrowDown: 'nextElementSibling' }[key];
    if (!beside && !next) return;
    event.preventDefault();
    const buttons = [...line.querySelectorAll('button')];
    let to = beside && buttons[buttons.indexOf(target) + beside];
    if (next) {
      let other = line;
      do other = other[next];
      while (other?.className === 'notice');
      to = other?.querySelector(`[data-act=${target.dataset.act}]`) ?? other?.querySelector('[data-act=open]');
    }
    if (!to) return;
    this.#setTabStop(to);
    to.focus();
  }
}

function notice({ t, d }) {
  return make('li', { className: 'notice', textContent: NOTICES[t](d) });
}
