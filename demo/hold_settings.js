// What the moderators have the stream hold: first messages, and messages with certain words.
import { patiently } from './acts.js';
import { disable, make } from './make.js';
import { verdictOf } from './verdict.js';

const byId = (id) => document.getElementById(id);

export class HoldSettings {
  #user;
  #streamId;
  #say;
  #first = byId('hold-first');
  #form = byId('hold-form');
  #words = byId('hold-words');
  #rules = null;

  // say(text) shows why the server refused a change.
  constructor(user, streamId, say) {
    this.#user = user;
    this.#streamId = streamId;
    this.#say = say;
    this.#first.addEventListener('change', ({ target: { checked } }) => this.#setFirst(checked));
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#add(this.#form.elements.word);
    });
  }

  // The switch shows the rule in force, also when another moderator has changed it.
  showRules(rules) {
    this.#rules = rules;
    this.#first.checked = rules.hold_first;
    disable(this.#first, this.#user.whyNot);
  }

  async read() {
    await this.#try(async () => {
      const terms = await this.#user.client.blockedTerms(this.#streamId);
      const held = terms.filter(({ action }) => action === 'hold');
      this.#words.replaceChildren(...held.map((term) => this.#item(term)));
    });
  }

  async #setFirst(checked) {
    const isSet = await this.#try(() => this.#user.client.setRules(this.#streamId, { hold_first: checked }));
    if (!isSet) this.showRules(this.#rules);
  }

  async #add(input) {
    const isAdded = await this.#try(() => this.#user.client.addBlockedTerm(this.#streamId, input.value, { action: 'hold' }));
    if (!isAdded) return;
    input.value = '';
    await this.read();
  }

  #item({ term_id: id, term }) {
    const item = make('li', { textContent: term });
    const remove = make('button', { type: 'button', textContent: '×', ariaLabel: `Do not hold “${term}”`, title: `Do not hold “${term}”` });
    remove.addEventListener('click', async () => {
      if (!(await this.#try(() => this.#user.client.removeBlockedTerm(this.#streamId, id)))) return;
      await this.read();
      this.#form.elements.word.focus();
    });
    item.append(' ', remove);
    return item;
  }

  // Returns whether the server did it.
  async #try(call) {
    this.#say('');
    try {
      await patiently(call);
      return true;
    } catch (error) {
      this.#say(verdictOf(error));
      return false;
    }
  }
}
