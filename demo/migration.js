// The transport in use, and the button that asks the server to move all readers to the other one. The panes' readers
// follow its message by themselves; what is here tells how far they are.
import { verdictOf } from './verdict.js';

const FOLLOW_MS = 30_000; // for both panes to be on another transport

const byId = (id) => document.getElementById(id);
const label = (transport) => String(transport).toUpperCase();

export class Migration {
  #panes;
  #hasBroker;
  #target = null; // while the panes go over
  #timer;

  // `request` asks for a target; it rejects with a SealcastError.
  constructor(panes, { hasBroker, request }) {
    this.#panes = panes;
    this.#hasBroker = hasBroker;
    byId('migrate').addEventListener('click', async () => {
      if (this.#target) return;
      this.announced(this.#other);
      await request(this.#target).catch((error) => this.#end(verdictOf(error)));
    });
  }

  announced(target) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end('A reader has not followed; load the page again.'), FOLLOW_MS);
    this.#target = target;
    byId('notice').textContent = '';
    this.show();
  }

  failed({ code, message }) {
    if (code === 'migration_failed' || code === 'transport_unknown') this.#end(message);
  }

  show() {
    const now = this.#panes.map(({ transport }) => transport);
    const target = this.#target;
    if (now.every((transport) => transport === target)) return this.#end('');
    const from = now.find((transport) => transport !== target);
    const still = [...new Set(now)].map(label).join(', ');
    byId('transport').textContent = target ? `${label(from)} → ${label(target)}` : still;
    for (const pane of this.#panes) pane.showTransport(label(pane.transport));
    const button = byId('migrate');
    button.textContent = target ? `Moving to ${label(target)}…` : `Move to ${label(this.#other)}`;
    button.ariaDisabled = target !== null;
    button.disabled = !this.#hasBroker;
    if (!this.#hasBroker) byId('notice').textContent = 'This stack has no MQTT broker to move to.';
  }

  get #other() {
    return this.#panes[0].transport === 'mqtt' ? 'sse' : 'mqtt';
  }

  #end(notice) {
    clearTimeout(this.#timer);
    this.#target = null;
    byId('notice').textContent = notice;
    this.show();
  }
}
