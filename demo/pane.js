// One user's side of the room: shows the stream's messages.
import { Composer } from './composer.js';
import { ListFocus } from './list_focus.js';
import { make } from './make.js';
import { MessageActions } from './message_actions.js';
import { MessageLine } from './message_line.js';
import { PinnedMessage } from './pinned_message.js';
import { ReviewNotice } from './review_notice.js';
import { rulesText } from './rules_text.js';
import { showDone } from './verdict.js';

const MAX_LINES = 300;
// System messages that the list shows, and how.
const NOTICES = {
  transport_migrate: ({ target }) => `The stream moves to ${String(target).toUpperCase()}`,
  stream_rules: rulesText,
  pinned: ({ offset, by }, nameOf) => `${by ? nameOf(by) : 'The operator'} ${offset === null ? 'unpinned the message' : 'pinned a message'}`,
};
const HIDDEN_TYPES = ['viewer_count_update', 'sampling_update', 'message_redacted', 'messages_purged'];
const SYSTEM_TYPES = new Set([...Object.keys(NOTICES), ...HIDDEN_TYPES]);

export class Pane {
  #section;
  #list;
  #lines = new WeakMap(); // element of the list → MessageLine
  #user;
  #room; // {streamId, nameOf, openEnvelope, askForReport, onHeld}
  #actions;
  #verdict;
  #focus;
  #pinned;
  #review;
  #subscription = null;
  #isAtEnd = true;

  constructor(section, user, room) {
    this.#section = section;
    this.#list = section.querySelector('.messages');
    this.#user = user;
    this.#room = room;
    this.#verdict = section.querySelector('.verdict');
    this.#actions = new MessageActions(user, room, this.#verdict);
    this.#focus = new ListFocus(this.#list);
    this.#pinned = new PinnedMessage(section, user, room);
    this.#review = new ReviewNotice(section, user, room);
    this.composer = new Composer(section, user, room.streamId, this.#review);
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
  begin({ messages, last }, transport, { onFrame, onRules, onTransport, ...callbacks }) {
    messages.forEach((frame) => this.#show(frame));
    this.#pinned.read();
    const handle = (frame) => {
      this.#show(frame);
      this.#pinned.arrived(frame);
      if (frame.envelope.s === this.#user.id) this.#review.arrived(frame.envelope);
      onFrame(frame);
    };
    this.#subscription = this.#user.client.subscribeStreamEvents(this.#room.streamId, handle, {
      ...callbacks,
      from: last,
      transport,
      onRewound: ({ offset }) => {
        for (const line of [...this.#list.children]) if (Number(line.dataset.offset) > offset) line.remove();
        this.#pinned.rewound();
      },
      onRedacted: (redaction) => this.#showRedaction(redaction),
      onNotice: (notice) => this.composer.showNotice(notice),
      onTransport: (name) => {
        if (name !== 'sse') this.composer.forgetNotices(); // only sse brings notices
        onTransport();
      },
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
    const line = NOTICES[envelope.t] && envelope.d ? this.#notice(envelope) : this.#line(frame);
    if (!line) return;
    const list = this.#list;
    this.#focus.added(line);
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

  #notice({ t, d }) {
    return make('li', { className: 'notice', textContent: NOTICES[t](d, this.#room.nameOf) });
  }
}
