// Shows the transport in use, and the button that asks the server to move all readers to the other transport. The panes'
// subscriptions follow the server's message by themselves; this code only shows their progress.
import { verdictOf } from './verdict.js';

const FOLLOW_TIMEOUT_MS = 30_000; // until both panes must be on the new transport

const byId = (id) => document.getElementById(id);
const label = (transport) => String(transport).toUpperCase();

export class Migration {
  #panes;
  #disabled; // why the stream cannot be moved; empty if it can
  #target = null; // set while the panes move
  #timer;

  // request(target) asks the server to move the stream. It rejects with a SealcastError.
  constructor(panes, { disabled, request }) {
    this.#panes = panes;
    this.#disabled = disabled;
    byId('migrate').addEventListener('click', async () => {
      if (this.#target) return;
      this.announced(this.#other);
      await request(this.#target).catch((error) => this.#end(verdictOf(error)));
    });
  }

  announced(target) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end('Not all readers have moved. Reload the page.'), FOLLOW_TIMEOUT_MS);
    this.#target = target;
    byId('notice').textContent = '';
    this.show();
  }

  failed({ code, message }) {
    if (code === 'migration_failed' || code === 'transport_unknown') this.#end(message);
  }

  show() {
    const transports = this.#panes.map(({ transport }) => transport);
    const target = this.#target;
    if (transports.every((transport) => transport === target)) return this.#end('');
    const from = transports.find((transport) => transport !== target);
    const inUse = [...new Set(transports)].map(label).join(', ');
    byId('transport').textContent = target ? `${label(from)} → ${label(target)}` : inUse;
    for (const pane of this.#panes) pane.showTransport(label(pane.transport));
    const button = byId('migrate');
    button.textContent = target ? `Moving to ${label(target)}…` : `Move to ${label(this.#other)}`;
    button.ariaDisabled = target !== null;
    button.disabled = this.#disabled !== '';
    if (this.#disabled) byId('notice').textContent = this.#disabled;
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
