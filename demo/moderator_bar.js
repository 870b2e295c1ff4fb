// The moderator's controls of the stream: slow mode and members only.
import { patiently } from './acts.js';
import { disable, make } from './make.js';
import { showVerdict } from './verdict.js';

const byId = (id) => document.getElementById(id);

export class ModeratorBar {
  #user;
  #streamId;
  #verdict;
  #slowMode = byId('slow-mode');
  #membersOnly = byId('members-only');
  #rules = null;

  constructor(section, user, streamId) {
    this.#user = user;
    this.#streamId = streamId;
    this.#verdict = section.querySelector('.verdict');
    this.#slowMode.addEventListener('change', ({ target: { value } }) => this.#set({ slow_mode_s: value === '' ? null : Number(value) }));
    this.#membersOnly.addEventListener('change', ({ target: { checked } }) => this.#set({ senders: checked ? 'members' : 'everyone' }));
  }

  // The controls show the rules in force, also when another moderator has changed them.
  showRules(rules) {
    this.#rules = rules;
    const value = String(rules.slow_mode_s ?? '');
    if (![...this.#slowMode.options].some((option) => option.value === value)) {
      this.#slowMode.append(make('option', { value, textContent: `${value} s` }));
    }
    this.#slowMode.value = value;
    this.#membersOnly.checked = rules.senders !== 'everyone';
    for (const control of [this.#slowMode, this.#membersOnly]) disable(control, this.#user.whyNot);
  }

  async #set(change) {
    try {
      await patiently(() => this.#user.client.setRules(this.#streamId, change));
    } catch (error) {
      showVerdict(this.#verdict, error);
      this.showRules(this.#rules);
    }
  }
}
