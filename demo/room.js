// The demo room's page: reads the stream by EventSource, sends with the demo's session, shows envelopes and verdicts.
const byId = (id) => document.getElementById(id);
const list = byId('messages');
const KEPT = 500; // messages on the page

const session = await loadSession();
if (session) openRoom();

async function loadSession() {
  const answer = await fetch('demo.json', { cache: 'no-store' }).catch(() => null);
  if (answer?.ok) return answer.json();
  connection('lost', 'There is no demo session: start the room with make run or docker compose up.');
  byId('send').disabled = true;
  return null;
}

function openRoom() {
  byId('composer').addEventListener('submit', submit);
  const events = new EventSource(`streams/${session.stream_id}/events`);
  events.onopen = async () => {
    connection('live', 'Live');
    if (list.childElementCount === 0) await loadLatest();
  };
  events.onerror = () => connection('lost', 'Connection lost, trying again…');
  events.onmessage = async ({ data }) => {
    const frame = JSON.parse(data);
    if (!frame.reset) return show(frame);
    list.replaceChildren();
    await loadLatest();
  };
}

function connection(state, text) {
  byId('connection').dataset.state = state;
  byId('connection').textContent = text;
}

// What was said before. Events may arrive meanwhile: show() puts each in its place, once.
async function loadLatest() {
  const answer = await fetch(`streams/${session.stream_id}/messages?limit=100`);
  if (answer.ok) (await answer.json()).messages.forEach(show);
  byId('empty').hidden = list.childElementCount > 0;
}

function show(frame) {
  const { offset, envelope } = frame;
  let before = list.lastElementChild;
  while (before && Number(before.dataset.offset) > offset) before = before.previousElementSibling;
  if (before && Number(before.dataset.offset) === offset) return;

  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const item = document.createElement('li');
  item.dataset.offset = offset;
  item.classList.toggle('mine', envelope.s === session.user_id);
  const from = document.createElement('small');
  from.textContent = `${new Date(envelope.ts).toLocaleTimeString()} · ${envelope.s.slice(0, 8)}`;
  const text = document.createElement('p');
  text.textContent = envelope.d.content ?? JSON.stringify(envelope.d);
  const open = document.createElement('button');
  open.type = 'button';
  open.textContent = 'Envelope';
  open.setAttribute('aria-label', `Envelope of message ${offset}`);
  open.addEventListener('click', () => view(envelope));
  item.append(from, text, open);
  if (before) before.after(item);
  else list.prepend(item);
  while (list.childElementCount > KEPT) list.firstElementChild.remove();
  byId('empty').hidden = true;
  if (atEnd) list.scrollTop = list.scrollHeight;
}

async function view(envelope) {
  const result = byId('result');
  result.dataset.result = '';
  result.textContent = '…';
  byId('envelope').textContent = JSON.stringify(envelope, null, 2);
  byId('viewer').showModal();
  const answer = await post('rpc/verify', envelope);
  result.dataset.result = answer.ok ? answer.body.result : 'unknown';
  result.textContent = answer.ok ? answer.body.result : explain(answer);
}

// A txn_id belongs to one message: when it is unknown what became of it, sending the same text again must not send it
// twice.
let unanswered = null;

async function submit(event) {
  event.preventDefault();
  const input = byId('content');
  const content = input.value;
  if (unanswered?.content !== content) unanswered = { content, txn_id: crypto.randomUUID() };
  byId('send').disabled = true;
  byId('verdict').textContent = '';
  const answer = await post('rpc/send_message', {
    stream_id: session.stream_id,
    t: 'chat',
    txn_id: unanswered.txn_id,
    d: { content },
  });
  byId('send').disabled = false;
  if (answer.ok) {
    unanswered = null;
    input.value = '';
  } else {
    byId('verdict').textContent = explain(answer);
  }
  input.focus();
}

async function post(path, body) {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${session.token}` };
  try {
    const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return { ok: answer.ok, status: answer.status, body: await answer.json() };
  } catch {
    return { ok: false, status: 0, body: { code: 'unreachable', message: 'no answer; send again, it will not arrive twice' } };
  }
}

function explain({ status, body }) {
  return [`${status || ''} ${body.code}: ${body.message}`.trim(), body.details, body.hint].filter(Boolean).join('. ');
}
