// The focus in a list of messages. The Tab key reaches only one of its buttons, at first the newest. The arrow keys reach the
// others: up and down those of the other messages, left and right those of the same message.

export class ListFocus {
  #tabStop = null;

  constructor(list) {
    list.addEventListener('keydown', (event) => this.#move(event));
  }

  // To be called with each new line.
  added(line) {
    if (document.activeElement !== this.#tabStop) this.#setTabStop(line.querySelector('[data-act=open]') ?? this.#tabStop);
  }

  #setTabStop(button) {
    if (this.#tabStop) this.#tabStop.tabIndex = -1;
    if (button) button.tabIndex = 0;
    this.#tabStop = button;
  }

  #move(event) {
    const { key, target } = event;
    const line = target.closest('li');
    if (!line) return;
    if (key === 'Delete') line.querySelector('[data-act=delete]')?.click();
    const beside = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const next = { ArrowUp: 'previousElementSibling', ArrowDown: 'nextElementSibling' }[key];
    if (!beside && !next) return;
    event.preventDefault();
    const buttons = [...line.querySelectorAll('button')];
    let to = beside && buttons[buttons.indexOf(target) + beside];
    if (next) {
      let other = line;
      do other = other[next];
      while (other?.className === 'notice');
      to = other?.querySelector(`[data-act=${target.dataset.act}]`) ?? other?.querySelector('[data-act=open]');
    }
    if (!to) return;
    this.#setTabStop(to);
    to.focus();
  }
}
