// Server-Sent Events of the sidecar itself (docs/http.md), read by fetch: Node.js has no EventSource, and a browser's
// sends no Authorization, hides the answer's status and does not notice a dead connection.
import { failure } from '../errors.js';
import { EventStream } from '../event_stream.js';
import { parseFrame } from '../frame.js';

// With `ticket`, a ticket in the URL stands for the session: no header is sent that a browser would ask leave for first
// (a preflight), and none that a proxy could strip. After `silenceMs` without a byte the connection is taken for dead;
// the server sends a comment every sse.heartbeat_ms (15 s).
export function sse({ ticket = false, silenceMs = 45_000 } = {}) {
  return { name: 'sse', resumes: true, connect: (streamId, on) => connect(streamId, on, { ticket, silenceMs }) };
}

async function connect(streamId, on, { ticket, silenceMs }) {
  const stop = new AbortController();
  const follow = () => stop.abort(on.signal.reason);
  on.signal.addEventListener('abort', follow, { once: true });
  let silence;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(failure('silence', `nothing was heard for ${silenceMs} ms`)), silenceMs);
  };
  let stream;
  try {
    stream = await open(streamId, on, ticket, stop.signal);
    const events = new EventStream({ onEvent: receiver(on), onRetry: on.onPace });
    const reader = stream.body.getReader();
    // The signal alone may not end it: see orAborted() in http.js.
    stop.signal.addEventListener('abort', () => reader.cancel().catch(() => {}));
    for (alive(); ; alive()) {
      const { value, done } = await reader.read();
      if (done) throw failure('connection_lost', 'the server ended the event stream');
      events.push(value);
    }
  } catch (error) {
    if (on.signal.aborted) return;
    if (stop.signal.aborted) {
      stream?.failed(stop.signal.reason);
      throw stop.signal.reason;
    }
    throw error instanceof TypeError ? failure('connection_lost', 'the event stream broke off', error) : error;
  } finally {
    clearTimeout(silence);
    on.signal.removeEventListener('abort', follow);
    stop.abort();
  }
}

async function open(streamId, on, ticket, signal) {
  const headers = { Accept: 'text/event-stream' };
  const query = new URLSearchParams();
  const after = on.after();
  if (on.channel !== 'public') query.set('channel', on.channel);
  if (ticket) {
    const { access_token: token } = await on.ticket(streamId, { signal });
    query.set('access_token', token);
    if (after !== null) query.set('last_event_id', after);
  } else if (after !== null) {
    headers['Last-Event-ID'] = String(after);
  }
  const path = `/streams/${encodeURIComponent(streamId)}/events`;
  return on.http.open(String(query) ? `${path}?${query}` : path, { headers, streamId, session: !ticket, signal });
}

// The first event has no data, or a reset: its id says after which offset this connection begins.
function receiver(on) {
  let connected = false;
  return ({ data, type, lastEventId }) => {
    if (type !== 'message') return;
    const offset = /^\d+$/.test(lastEventId) ? Number(lastEventId) : undefined;
    const told = data === null ? null : read(data, on);
    if (!connected) {
      connected = true;
      on.onConnected(told?.envelope ? {} : { offset });
    }
    if (told?.reset) on.onReset(told.offset);
    else if (told) on.onFrame(told);
  };
}

function read(data, on) {
  try {
    const told = JSON.parse(data);
    return told?.reset === true && Number.isSafeInteger(told.offset) ? told : parseFrame(told);
  } catch (error) {
    on.onBadFrame(error instanceof SyntaxError ? failure('bad_frame', 'a frame is not JSON', error) : error);
    return null;
  }
}
