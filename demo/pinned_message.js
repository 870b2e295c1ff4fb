// The pinned message, above the messages of a pane. A moderator unpins it there.
import { patiently } from './acts.js';
import { make } from './make.js';
import { textOf } from './texts.js';
import { showVerdict } from './verdict.js';

const RETRY_MS = 2000;

export class PinnedMessage {
  #section;
  #place;
  #user;
  #room; // {streamId, nameOf}
  #newest = 0; // the offset of the newest message `pinned`

  constructor(section, user, room) {
    this.#section = section;
    this.#place = section.querySelector('.pinned');
    this.#user = user;
    this.#room = room;
  }

  // A pin may be older than the history that the room shows, so the state of the stream has it.
  async read() {
    try {
      const { messages } = await patiently(() => this.#user.client.state(this.#room.streamId));
      messages.forEach((frame) => this.arrived(frame));
    } catch (error) {
      if (error.retryable) setTimeout(() => this.read(), RETRY_MS);
    }
  }

  // To be called with each message of the stream.
  arrived({ offset, envelope }) {
    if (envelope?.t !== 'pinned' || !envelope.d || offset <= this.#newest) return;
    this.#newest = offset;
    this.#show(envelope.d);
  }

  // To be called when the stream was set back, so that messages come again.
  rewound() {
    this.#newest = 0;
    this.#place.replaceChildren();
    this.read();
  }

  async #show({ offset, sender_id: sender, by, note }) {
    const newest = this.#newest;
    const message = offset === null ? null : await this.#message(offset);
    if (newest !== this.#newest) return; // another message was pinned meanwhile
    const hadFocus = this.#place.contains(document.activeElement);
    this.#place.replaceChildren(...(message ? [this.#box(message, sender, by, note)] : []));
    if (hadFocus) (this.#place.querySelector('button') ?? this.#section.querySelector('.messages')).focus();
  }

  // Resolves with null when the message is gone or redacted: then it is unpinned, too.
  async #message(offset) {
    const find = () => this.#user.client.messages(this.#room.streamId, { after: offset - 1, limit: 1 });
    const page = await patiently(find).catch(() => null);
    if (!page) return { d: { content: `Message ${offset}` } };
    return page.messages[0]?.envelope?.d && page.messages[0].offset === offset ? page.messages[0].envelope : null;
  }

  #box({ d }, sender, by, note) {
    const name = this.#room.nameOf(sender);
    const box = make('aside', { ariaLabel: 'Pinned message' });
    const about = make('p', { className: 'about' });
    about.append(make('b', { textContent: name }), ` · pinned${by && by !== sender ? ` by ${this.#room.nameOf(by)}` : ''}${note ? `: ${note}` : ''}`);
    box.append(about, make('p', { className: 'text', textContent: textOf(d), title: textOf(d) }));
    if (this.#user.moderates && this.#user.hasSession) box.append(this.#unpin(name));
    return box;
  }

  #unpin(name) {
    const button = make('button', { type: 'button', className: 'quiet', textContent: 'Unpin', ariaLabel: `Unpin the message by ${name}` });
    button.addEventListener('click', async () => {
      const unpin = () => this.#user.client.unpin(this.#room.streamId);
      await patiently(unpin).catch((error) => showVerdict(this.#section.querySelector('.verdict'), error));
    });
    return button;
  }
}
