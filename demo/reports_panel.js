// The queue of the reported messages.
import { timeOut } from './acts.js';
import { make } from './make.js';
import { QueuePanel } from './queue_panel.js';
import { clockOf, plural, textOf } from './texts.js';

export class ReportsPanel {
  #user;
  #room; // {streamId, nameOf}
  #panel;

  constructor(user, room) {
    this.#user = user;
    this.#room = room;
    this.#panel = new QueuePanel('reports', user, {
      read: (limit) => user.client.reports(room.streamId, { limit }),
      keyOf: ({ offset }) => String(offset),
      itemOf: (entry) => this.#item(entry),
    });
  }

  // To be called when the page knows of a new report.
  refresh() {
    this.#panel.refresh();
  }

  #item({ offset, envelope, reporters, categories, reasons, first_reported_at: since }) {
    const name = this.#room.nameOf(envelope.s);
    const item = make('li');
    const about = make('p', { className: 'about' });
    about.append(make('b', { textContent: name }), ` · reported by ${plural(reporters, 'user')}, first at ${clockOf(since)}`);
    const quote = make('blockquote', { textContent: envelope.d ? textOf(envelope.d) : 'Message deleted' });
    const why = make('ul', { className: 'why' });
    for (const [category, count] of Object.entries(categories)) {
      if (category !== 'none') why.append(make('li', { className: 'category', textContent: count > 1 ? `${category} ×${count}` : category }));
    }
    for (const reason of reasons) why.append(make('li', { textContent: `“${reason}”` }));
    const isMine = envelope.s === this.#user.id;
    item.append(about, quote, why, isMine ? ownHint() : this.#buttons(item, offset, envelope.s, name));
    return item;
  }

  #buttons(item, offset, sender, name) {
    const { client } = this.#user;
    const { streamId } = this.#room;
    const act = (text, outcome, run) => {
      const label = `${text}: message ${offset} by ${name}`;
      return this.#panel.button(item, text, label, async () => {
        await run();
        await client.resolveReport(streamId, offset, outcome);
        return `Done. ${label}.`;
      });
    };
    const remove = () => client.redact(streamId, { offset }, 'reported');
    const buttons = make('div', { className: 'row' });
    buttons.append(
      act('Delete', 'acted', remove),
      act('Time out and delete', 'acted', async () => {
        await timeOut(this.#user, streamId, sender, name);
        await remove(); // it may be older than what the time-out deletes
      }),
      act('Dismiss', 'dismissed', () => {}),
    );
    return buttons;
  }
}

const ownHint = () => make('p', { className: 'hint', textContent: 'Nobody closes the reports of their own message.' });
