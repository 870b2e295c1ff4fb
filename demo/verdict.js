// Shows the server's verdict in one line of text: the status, the code, and the reason.
import { make } from './make.js';

export function showVerdict(line, verdict, before = '') {
  const result = document.createElement('strong');
  result.textContent = resultOf(verdict);
  line.replaceChildren(before, result, ` ${reasonOf(verdict)}`);
  line.dataset.tone = verdict.status < 300 ? 'good' : 'bad';
}

// Shows what was done, and a button that undoes it.
export function showDone(line, text, undo) {
  line.replaceChildren(text);
  line.dataset.tone = 'good';
  if (!undo) return;
  const button = make('button', { type: 'button', className: 'undo', textContent: 'Undo' });
  button.addEventListener('click', undo);
  line.append(' ', button);
}

export function verdictOf(verdict) {
  return `${resultOf(verdict)} ${reasonOf(verdict)}`;
}

const resultOf = ({ status, code }) => [status, code].filter(Boolean).join(' ');
const reasonOf = ({ message, details, hint }) => [message, details, hint].filter(Boolean).map(sentence).join(' ');
// A code at the beginning stays as it is.
const sentence = (text) => (/^[a-z]+_/.test(text) ? text : text[0].toUpperCase() + text.slice(1)).replace(/\.?$/, '.');

export function clearVerdict(line) {
  line.replaceChildren();
}

export const SEALED = { status: 200, message: 'sealed and committed' };
