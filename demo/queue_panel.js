// A queue of the moderators: the button with its count, and a drawer with its entries, each with what a moderator can do
// about it.
import { patiently } from './acts.js';
import { disable, make } from './make.js';
import { verdictOf } from './verdict.js';

const REFRESH_MS = 10_000;
const PAGE = 20; // entries

export class QueuePanel {
  #source;
  #button;
  #panel;
  #list;
  #status;
  #close;
  #items = new Map(); // key → {text, element} of each entry in the list
  #reading = 0; // counts the calls of refresh()

  // `source`: read(limit) resolves with the entries; keyOf(entry); itemOf(entry) makes its element; update(element, entry) is
  // called at each refresh; opened().
  constructor(name, user, source) {
    const part = (which) => document.getElementById(`${name}-${which}`);
    this.#source = source;
    [this.#button, this.#list, this.#status, this.#close] = ['open', 'list', 'status', 'close'].map(part);
    this.#panel = document.getElementById(name);
    disable(this.#button, user.whyNot);
    if (!user.hasSession) return;
    this.#button.addEventListener('click', () => {
      this.say('');
      this.#panel.showModal();
      source.opened?.();
      this.refresh();
    });
    // The server does not announce what waits, so the page asks while somebody looks at it.
    document.addEventListener('visibilitychange', () => this.#refreshIfVisible());
    setInterval(() => this.#refreshIfVisible(), REFRESH_MS);
    this.#refreshIfVisible();
  }

  say(text) {
    this.#status.textContent = text;
  }

  // Only the newest reading counts.
  async refresh() {
    const reading = ++this.#reading;
    try {
      const entries = await patiently(() => this.#source.read(PAGE));
      if (reading === this.#reading) this.#show(entries);
    } catch (error) {
      if (!error.retryable) this.say(verdictOf(error));
    }
  }

  // A button of an entry's element. run() resolves with the text that says what was done.
  button(item, text, label, run) {
    const button = make('button', { type: 'button', textContent: text, ariaLabel: label });
    button.addEventListener('click', () => {
      if (button.ariaDisabled !== 'true') this.#act(item, run);
    });
    return button;
  }

  async #act(item, run) {
    const buttons = item.querySelectorAll('button');
    this.say('');
    for (const button of buttons) button.ariaDisabled = true;
    try {
      this.say(await patiently(run));
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      (next?.querySelector('button') ?? this.#close).focus();
    } catch (error) {
      this.say(verdictOf(error));
      for (const button of buttons) button.ariaDisabled = null;
    }
    await this.refresh();
  }

  #refreshIfVisible() {
    if (!document.hidden) this.refresh();
  }

  #show(entries) {
    this.#button.querySelector('.count').textContent = entries.length === PAGE ? `${PAGE}+` : entries.length;
    this.#button.dataset.waiting = entries.length > 0;
    const items = entries.map((entry) => [this.#source.keyOf(entry), this.#itemOf(entry)]);
    this.#items = new Map(items);
    this.#list.dataset.state = 'read';
    this.#replace(items.map(([, { element }]) => element));
  }

  // The element of an entry that has not changed stays, with what is typed in it.
  #itemOf(entry) {
    const text = JSON.stringify(entry);
    const key = this.#source.keyOf(entry);
    const known = this.#items.get(key);
    const item = known?.text === text ? known : { text, element: this.#source.itemOf(entry) };
    item.element.dataset.key = key;
    this.#source.update?.(item.element, entry);
    return item;
  }

  // Keeps the focus, since an element that is moved or replaced would lose it.
  #replace(elements) {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    const key = focused?.closest('[data-key]')?.dataset.key;
    for (const element of [...this.#list.children]) if (!elements.includes(element)) element.remove();
    elements.forEach((element, i) => {
      if (this.#list.children[i] !== element) this.#list.insertBefore(element, this.#list.children[i] ?? null);
    });
    if (!focused || focused === document.activeElement) return;
    const instead = elements.find(({ dataset }) => dataset.key === key)?.querySelector('button') ?? this.#close;
    (focused.isConnected ? focused : instead).focus();
  }
}
