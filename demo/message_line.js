// One message of the list: its text, or that it was deleted, and the buttons of what this user can do with it.
import { covers } from './client/index.js';
import { make } from './make.js';
import { clockOf, textOf } from './texts.js';

export class MessageLine {
  element;
  #offset;
  #envelope;
  #text = make('p');
  #buttons = [];

  // `actions`: {act, text, label, run, needsContent} for each button; the first is always visible.
  constructor({ offset, envelope }, { name, isMine, actions }) {
    this.#offset = offset;
    this.#envelope = envelope;
    const sent = new Date(envelope.ts);
    const about = make('small');
    const head = [make('b', { textContent: name }), make('time', { textContent: clockOf(sent), dateTime: sent.toISOString() })];
    this.#buttons = actions.filter(({ needsContent }) => envelope.d || !needsContent).map((action) => this.#button(action));
    const [open, ...others] = this.#buttons.map(({ button }) => button);
    // The buttons that only the pointer or the focus shows leave no gap at the outer end.
    about.append(...(isMine ? [...others, ...head, open] : [...head, open, ...others]));
    this.element = make('li', { className: isMine ? 'mine' : 'other' });
    this.element.append(about, this.#text);
    if (envelope.d) this.#text.textContent = this.content;
    else this.#showDeleted();
  }

  get offset() {
    return this.#offset;
  }

  // Its `d` is null when the message is deleted. There is no payload_hash if it was deleted while this page showed it.
  get envelope() {
    return this.#envelope;
  }

  get content() {
    const { d } = this.#envelope;
    return textOf(d);
  }

  // Shows the message as deleted, and forgets its content, if the redaction is about it. Returns whether it is.
  apply(redaction) {
    if (!this.#envelope.d || !covers(redaction, this)) return false;
    this.#envelope = { ...this.#envelope, d: null };
    this.#showDeleted();
    return true;
  }

  #showDeleted() {
    this.#text.textContent = 'Message deleted';
    this.#text.className = 'deleted';
    for (const { button, action } of this.#buttons) {
      if (!action.needsContent) continue;
      if (button === document.activeElement) this.#buttons[0].button.focus(); // else the focus would be lost
      button.remove();
    }
  }

  #button(action) {
    const button = make('button', { type: 'button', tabIndex: -1, textContent: action.text, ariaLabel: action.label });
    button.dataset.act = action.act;
    button.addEventListener('click', () => action.run(this));
    return { button, action };
  }
}
