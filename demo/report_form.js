// The dialog in which a viewer reports a message to the moderators.

const byId = (id) => document.getElementById(id);

export class ReportForm {
  #dialog = byId('report');
  #form = byId('report-form');

  constructor() {
    byId('report-cancel').addEventListener('click', () => this.#dialog.close());
  }

  // Resolves with {category, reason}, or with null when the viewer closes the dialog.
  ask(name, content) {
    this.#form.reset();
    byId('report-title').textContent = `Report a message by ${name}`;
    byId('report-quote').textContent = content;
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    return new Promise((resolve) => {
      const close = () => {
        const { category, reason } = this.#form.elements;
        const given = { category: category.value, reason: reason.value.trim() || null };
        resolve(this.#dialog.returnValue === 'send' ? given : null);
      };
      this.#dialog.addEventListener('close', close, { once: true });
    });
  }
}
