// The moderators' queue: the reported messages, each with what a moderator can do about it.
import { patiently, timeOut } from './acts.js';
import { make } from './make.js';
import { verdictOf } from './verdict.js';

const REFRESH_MS = 5000;
const PAGE = 20; // reported messages

const byId = (id) => document.getElementById(id);
const OWN = () => make('p', { className: 'hint', textContent: 'Nobody closes the reports of their own message.' });
const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

export class ReportsPanel {
  #user;
  #streamId;
  #nameOf;
  #button = byId('reports-open');
  #panel = byId('reports');
  #list = byId('reports-list');
  #status = byId('reports-status');
  #shown = ''; // the text of the reports in the list

  constructor(user, streamId, nameOf) {
    this.#user = user;
    this.#streamId = streamId;
    this.#nameOf = nameOf;
    if (!user.hasSession) return;
    this.#button.disabled = false;
    this.#button.addEventListener('click', () => {
      this.#status.textContent = '';
      this.#panel.showModal();
      this.#refresh();
    });
    this.#refreshRegularly();
  }

  // The server does not announce reports, so the page asks.
  async #refreshRegularly() {
    for (;;) {
      if (!document.hidden) await this.#refresh();
      await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    }
  }

  async #refresh() {
    try {
      this.#show(await this.#user.client.reports(this.#streamId, { limit: PAGE }));
    } catch (error) {
      if (!error.retryable) this.#status.textContent = verdictOf(error);
    }
  }

  #show(cases) {
    const count = cases.length === PAGE ? `${PAGE}+` : String(cases.length);
    this.#button.replaceChildren('Reports ', make('span', { className: 'count', textContent: count }));
    this.#button.dataset.waiting = cases.length > 0;
    const text = JSON.stringify(cases);
    if (text === this.#shown) return; // a new list would take the focus from its buttons
    this.#shown = text;
    this.#list.replaceChildren(...cases.map((one) => this.#item(one)));
  }

  #item({ offset, envelope, reporters, categories, reasons, first_reported_at }) {
    const name = this.#nameOf(envelope.s);
    const clock = new Date(first_reported_at).toLocaleTimeString([], { timeStyle: 'short' });
    const item = make('li');
    item.dataset.offset = offset;
    const about = make('p', { className: 'about' });
    about.append(make('b', { textContent: name }), ` reported by ${plural(reporters, 'user')}, first at ${clock}`);
    const quote = make('blockquote', { textContent: envelope.d?.content ?? 'Message deleted' });
    const why = make('ul', { className: 'why' });
    for (const [category, count] of Object.entries(categories)) {
      if (category !== 'none') why.append(make('li', { className: 'category', textContent: count > 1 ? `${category} ×${count}` : category }));
    }
    for (const reason of reasons) why.append(make('li', { textContent: `“${reason}”` }));
    item.append(about, quote, why, envelope.s === this.#user.id ? OWN() : this.#buttons(item, offset, envelope.s, name));
    return item;
  }

  #buttons(item, offset, sender, name) {
    const buttons = make('div', { className: 'row' });
    const act = (text, outcome, run) => {
      const label = `${text}: message ${offset} by ${name}`;
      const button = make('button', { type: 'button', textContent: text, ariaLabel: label });
      button.addEventListener('click', () => {
        if (button.ariaDisabled !== 'true') this.#act(item, { offset, outcome, run, label });
      });
      buttons.append(button);
    };
    const remove = (client) => client.redact(this.#streamId, { offset }, 'reported');
    act('Delete', 'acted', remove);
    act('Time out and delete', 'acted', async (client) => {
      await timeOut(this.#user, this.#streamId, sender, name);
      await remove(client); // it may be older than what the time-out deletes
    });
    act('Dismiss', 'dismissed', () => {});
    return buttons;
  }

  async #act(item, { offset, outcome, run, label }) {
    const { client } = this.#user;
    this.#status.textContent = '';
    for (const button of item.querySelectorAll('button')) button.ariaDisabled = true;
    try {
      await patiently(() => run(client));
      await patiently(() => client.resolveReport(this.#streamId, offset, outcome));
      this.#status.textContent = `Done. ${label}.`;
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      (next?.querySelector('button') ?? byId('reports-close')).focus();
    } catch (error) {
      this.#status.textContent = verdictOf(error);
      for (const button of item.querySelectorAll('button')) button.ariaDisabled = null;
    }
    await this.#refresh();
  }
}
