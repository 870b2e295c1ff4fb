// The panel that shows an envelope, and whether the server says that it is what it sealed.

const VERDICTS = {
  ok: 'the signature verifies. This is what the server sealed.',
  bad_signature: 'the signature does not fit. Something was changed after the sealing.',
  unknown_kid: 'the server has no key of this kid.',
  malformed: 'this is no envelope.',
  from_future: 'the time of sealing is yet to come.',
};

export class EnvelopePanel {
  #client;
  #panel = document.getElementById('panel');
  #title = document.getElementById('panel-title');
  #result = document.getElementById('result');
  #text = document.getElementById('envelope');
  #tamper = document.getElementById('tamper');
  #envelope;
  #shown = null; // that envelope, or a changed copy

  constructor(client) {
    this.#client = client;
    this.#tamper.addEventListener('click', () => this.#show(this.#shown === this.#envelope));
  }

  open(offset, envelope) {
    this.#title.textContent = `Envelope of ${offset === null ? 'your own message' : `message ${offset}`}`;
    this.#envelope = envelope;
    this.#panel.showModal();
    this.#show(false);
  }

  async #show(tampered) {
    const shown = tampered ? { ...this.#envelope, d: changed(this.#envelope.d) } : this.#envelope;
    this.#shown = shown;
    this.#print(shown);
    this.#tamper.textContent = tampered ? 'Undo' : 'Tamper with it';
    this.#say('', 'Verifying…');
    const result = await this.#client.verify(shown).catch((error) => error);
    if (this.#shown !== shown) return; // another one is, by now
    if (result instanceof Error) this.#say(result.code, result.message);
    else this.#say(result, VERDICTS[result]);
  }

  #say(result, why) {
    const verdict = document.createElement('strong');
    verdict.textContent = result;
    this.#result.dataset.result = result;
    this.#result.replaceChildren(verdict, result ? `: ${why}` : why);
  }

  // Indented, with the members in their order; marks the line that was tampered with.
  #print(shown) {
    const original = JSON.stringify(this.#envelope, null, 2).split('\n');
    const lines = JSON.stringify(shown, null, 2).split('\n');
    const marked = lines.flatMap((line, i) => {
      if (line === original[i]) return [line, '\n'];
      const mark = document.createElement('mark');
      mark.textContent = line;
      return [mark, '\n'];
    });
    this.#text.replaceChildren(...marked);
  }
}

// One letter in the other case, or one more.
function changed(d) {
  const content = String(d.content ?? '');
  const at = content.search(/[a-z]/i);
  if (at < 0) return { ...d, content: `${content}!` };
  const letter = content[at];
  const other = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
  return { ...d, content: content.slice(0, at) + other + content.slice(at + 1) };
}
