// The panel that shows an envelope and the server's verdict on its signature.

const VERDICTS = {
  ok: 'the signature is valid. The server sealed this envelope.',
  redacted: 'the signature is valid. The content was deleted, and the envelope still proves who sent what hash when.',
  bad_signature: 'the signature is not valid. The envelope was changed after the server sealed it.',
  unknown_kid: 'the server has no key with this kid.',
  malformed: 'this is not an envelope.',
  from_future: 'the time of sealing is in the future.',
};

export class EnvelopePanel {
  #client;
  #panel = document.getElementById('panel');
  #title = document.getElementById('panel-title');
  #result = document.getElementById('result');
  #text = document.getElementById('envelope');
  #tamper = document.getElementById('tamper');
  #envelope;
  #shown = null; // the envelope, or a changed copy of it

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

  async #show(isChanged) {
    const shown = isChanged ? changed(this.#envelope) : this.#envelope;
    this.#shown = shown;
    this.#print(shown);
    this.#tamper.textContent = isChanged ? 'Undo the change' : 'Change the envelope';
    this.#showResult('', 'Verifying…');
    const result = await this.#client.verify(shown).catch((error) => error);
    if (this.#shown !== shown) return; // the panel shows another envelope now
    if (result instanceof Error) this.#showResult(result.code, result.message);
    else this.#showResult(result, VERDICTS[result]);
  }

  #showResult(result, explanation) {
    const verdict = document.createElement('strong');
    verdict.textContent = result;
    this.#result.dataset.result = result;
    this.#result.replaceChildren(verdict, result ? `: ${explanation}` : explanation);
  }

  // Keeps the order of the members, and marks the changed line.
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

// Changes the content, or the hash of deleted content.
function changed(envelope) {
  if (envelope.d) return { ...envelope, d: changeContent(envelope.d) };
  const hash = envelope.payload_hash ?? '';
  return { ...envelope, payload_hash: (hash[0] === '0' ? '1' : '0') + hash.slice(1) };
}

// Swaps the case of the first letter, or appends a character when there is no letter.
function changeContent(d) {
  const content = String(d.content ?? '');
  const at = content.search(/[a-z]/i);
  if (at < 0) return { ...d, content: `${content}!` };
  const letter = content[at];
  const other = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
  return { ...d, content: content.slice(0, at) + other + content.slice(at + 1) };
}
