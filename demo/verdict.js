// Shows the server's verdict in one line of text: the status, the code, and the reason.

export function showVerdict(line, verdict, before = '') {
  const result = document.createElement('strong');
  result.textContent = resultOf(verdict);
  line.replaceChildren(before, result, ` ${reasonOf(verdict)}`);
  line.dataset.tone = verdict.status === 200 ? 'good' : 'bad';
}

export function verdictOf(verdict) {
  return `${resultOf(verdict)} ${reasonOf(verdict)}`;
}

const resultOf = ({ status, code }) => [status, code].filter(Boolean).join(' ');
const reasonOf = ({ message, details, hint }) => [message, details, hint].filter(Boolean).map(sentence).join(' ');
const sentence = (text) => text[0].toUpperCase() + text.slice(1).replace(/\.?$/, '.');

export function clearVerdict(line) {
  line.replaceChildren();
}

export const SEALED = { status: 200, message: 'sealed and committed' };
