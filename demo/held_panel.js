// The queue of the held messages: a moderator approves or denies each.
import { HoldSettings } from './hold_settings.js';
import { make } from './make.js';
import { QueuePanel } from './queue_panel.js';
import { clockOf, shortened, textOf, timeLeft } from './texts.js';

const MAX_REASON = 500; // characters

export class HeldPanel {
  #user;
  #room; // {streamId, nameOf}
  #panel;
  #settings;

  constructor(user, room) {
    this.#user = user;
    this.#room = room;
    this.#panel = new QueuePanel('held', user, {
      read: (limit) => user.client.heldMessages(room.streamId, { limit }),
      keyOf: ({ held_id }) => held_id,
      itemOf: (entry) => this.#item(entry),
      update: (element, { expires_at }) => (element.querySelector('time').textContent = `${timeLeft(expires_at)} left`),
      opened: () => this.#settings.read(),
    });
    this.#settings = new HoldSettings(user, room.streamId, (text) => this.#panel.say(text));
  }

  // To be called when the page knows of a new held message.
  refresh() {
    this.#panel.refresh();
  }

  showRules(rules) {
    this.#settings.showRules(rules);
  }

  #item({ held_id: id, sender_id: sender, d, held_at, expires_at, ...why }) {
    const name = this.#room.nameOf(sender);
    const text = textOf(d);
    const item = make('li');
    const about = make('p', { className: 'about' });
    const left = make('time', { dateTime: expires_at, title: `Expires at ${new Date(expires_at).toLocaleString()}` });
    about.append(make('b', { textContent: name }), ` · waits since ${clockOf(held_at)} · `, left);
    const reasons = make('ul', { className: 'why' });
    reasons.append(make('li', { className: 'category', textContent: whyHeld(why, name) }));
    const isMine = sender === this.#user.id;
    const decision = isMine ? ownHint() : this.#decision(item, id, name, `“${shortened(text)}” by ${name}`);
    item.append(about, make('blockquote', { textContent: text }), reasons, decision);
    return item;
  }

  #decision(item, id, name, message) {
    const { client } = this.#user;
    const { streamId } = this.#room;
    const label = `Reason for denying ${message}`;
    const reason = make('input', { ariaLabel: label, placeholder: `Reason for ${name}, if you deny`, maxLength: MAX_REASON, autocomplete: 'off' });
    const row = make('div', { className: 'row' });
    row.append(
      this.#panel.button(item, 'Approve', `Approve: ${message}`, async () => {
        await client.approve(streamId, id);
        return `Approved: ${message}.`;
      }),
      this.#panel.button(item, 'Deny', `Deny: ${message}`, async () => {
        await client.deny(streamId, id, { reason: reason.value.trim() || null });
        return `Denied: ${message}.`;
      }),
      reason,
    );
    return row;
  }
}

// Only the operator may read a term of all streams.
function whyHeld({ held_by: by, detail }, name) {
  if (by === 'rule') return `the first message of ${name}`;
  if (by === 'term') return detail === null ? 'a word that is held in all streams' : `has the word “${detail}”`;
  return detail ?? 'held by the application';
}

const ownHint = () => make('p', { className: 'hint', textContent: 'Nobody decides about their own message.' });
