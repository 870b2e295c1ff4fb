// One user's side of the room: shows the stream's messages and sends the user's own.
import { clearVerdict, showVerdict } from './verdict.js';

const MAX_LINES = 300;
const SYSTEM_TYPES = new Set(['transport_migrate', 'viewer_count_update', 'sampling_update']);

export class Pane {
  #section;
  #list;
  #user;
  #room; // {streamId, nameOf, openEnvelope}
  #subscription = null;
  #tabStop = null;
  #unsent = null; // {content, txnId} of the last message that the server has not accepted

  constructor(section, user, room) {
    this.#section = section;
    this.#list = section.querySelector('.messages');
    this.#user = user;
    this.#room = room;
    for (const control of section.querySelectorAll('.composer input, .composer button')) control.disabled = !user.hasSession;
    section.querySelector('.composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send(event.target);
    });
    this.#list.addEventListener('keydown', (event) => this.#moveFocus(event));
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
  begin({ messages, last }, transport, { onFrame, ...callbacks }) {
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
    });
  }

  #show({ offset, envelope }) {
    const line = envelope.t === 'transport_migrate' ? notice(envelope) : this.#line(offset, envelope);
    if (!line) return;
    const list = this.#list;
    if (document.activeElement !== this.#tabStop) this.#setTabStop(line.querySelector('button') ?? this.#tabStop);
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    line.dataset.offset = offset;
    list.append(line);
    while (list.childElementCount > MAX_LINES) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  #line(offset, envelope) {
    if (SYSTEM_TYPES.has(envelope.t)) return null;
    const line = make('li', { className: envelope.s === this.#user.id ? 'mine' : 'other' });
    const name = this.#room.nameOf(envelope.s);
    const sent = new Date(envelope.ts);
    const clock = sent.toLocaleTimeString([], { timeStyle: 'short' });
    const time = make('time', { textContent: clock, dateTime: sent.toISOString() });
    const open = make('button', { type: 'button', tabIndex: -1, textContent: 'Envelope' });
    open.ariaLabel = `Envelope of ${offset === null ? 'a message' : `message ${offset}`} by ${name}`;
    open.addEventListener('click', () => this.#room.openEnvelope(offset, envelope));
    const about = make('small');
    about.append(make('b', { textContent: name }), time, open);
    line.append(about, make('p', { textContent: envelope.d.content ?? JSON.stringify(envelope.d) }));
    return line;
  }

  // The Tab key reaches only one of the list's buttons, at first the newest. The arrow keys reach the others.
  #setTabStop(button) {
    if (this.#tabStop) this.#tabStop.tabIndex = -1;
    if (button) button.tabIndex = 0;
    this.#tabStop = button;
  }

  #moveFocus(event) {
    const next = { ArrowUp: 'previousElementSibling', ArrowDown: 'nextElementSibling' }[event.key];
    let line = event.target.closest('li');
    if (!next || !line) return;
    event.preventDefault();
    do line = line[next];
    while (line?.className === 'notice');
    if (!line) return;
    this.#setTabStop(line.querySelector('button'));
    this.#tabStop.focus();
  }

  // The same text keeps its txn_id until the server has accepted it, so that sending it again cannot send it twice.
  async #send(form) {
    const { content: input } = form.elements;
    const button = form.querySelector('button');
    const line = this.#section.querySelector('.verdict');
    const content = input.value;
    if (button.disabled) return;
    if (this.#unsent?.content !== content) this.#unsent = { content, txnId: crypto.randomUUID() };
    button.disabled = true;
    clearVerdict(line);
    try {
      const { txnId } = this.#unsent;
      await this.#user.client.sendMessage(this.#room.streamId, 'chat', { content }, { txnId, giveUpAfterMs: 10_000 });
      this.#unsent = null;
      if (input.value === content) input.value = '';
    } catch (error) {
      showVerdict(line, error);
    }
    button.disabled = false;
    input.focus();
  }
}

function notice({ d }) {
  return make('li', { className: 'notice', textContent: `The stream moves to ${String(d.target).toUpperCase()}` });
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}
