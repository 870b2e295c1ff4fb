// Reads the sidecar's own Server-Sent Events (docs/http.md) with fetch(). EventSource is not used: Node.js has none, and a
// browser's sends no Authorization header, hides the HTTP status and does not notice a dead connection.
import { failure } from '../errors.js';
import { EventStream } from '../event_stream.js';
import { parseFrame, parseJson } from '../frame.js';

// With `ticket`, a ticket in the URL replaces the session. Then the request has no header that needs a CORS preflight, or
// that a proxy could strip. A connection that brings no byte for `silenceMs` is given up as dead; the server sends a
// comment every sse.heartbeat_ms (15 s).
export function sse({ ticket = false, silenceMs = 45_000 } = {}) {
  const connect = (streamId, context) => readEvents(streamId, context, { ticket, silenceMs });
  return { name: 'sse', resumes: true, connect };
}

async function readEvents(streamId, context, { ticket, silenceMs }) {
  const stop = new AbortController();
  const follow = () => stop.abort(context.signal.reason);
  context.signal.addEventListener('abort', follow, { once: true });
  let silenceTimer;
  const restartSilenceTimer = () => {
    clearTimeout(silenceTimer);
    const giveUp = () => stop.abort(failure('silence', `the event stream brought nothing for ${silenceMs} ms`));
    silenceTimer = setTimeout(giveUp, silenceMs);
  };
  let stream;
  try {
    stream = await open(streamId, context, ticket, stop.signal);
    const events = new EventStream({ onEvent: eventHandler(context), onRetry: context.onPace });
    const reader = stream.body.getReader();
    // The signal alone may not end the body: see orAborted() in http.js.
    stop.signal.addEventListener('abort', () => reader.cancel().catch(() => {}));
    for (restartSilenceTimer(); ; restartSilenceTimer()) {
      const { value, done } = await reader.read();
      if (done) throw failure('connection_lost', 'the server ended the event stream');
      events.push(value);
    }
  } catch (error) {
    if (context.signal.aborted) return;
    if (stop.signal.aborted) {
      stream?.failed(stop.signal.reason);
      throw stop.signal.reason;
    }
    throw error instanceof TypeError ? failure('connection_lost', 'the event stream broke off', error) : error;
  } finally {
    clearTimeout(silenceTimer);
    context.signal.removeEventListener('abort', follow);
    stop.abort();
  }
}

async function open(streamId, context, ticket, signal) {
  const headers = { Accept: 'text/event-stream' };
  const query = new URLSearchParams();
  const after = context.after();
  if (context.channel !== 'public') query.set('channel', context.channel);
  if (ticket) {
    const { access_token: token } = await context.ticket(streamId, { signal });
    query.set('access_token', token);
    if (after !== null) query.set('last_event_id', after);
  } else if (after !== null) {
    headers['Last-Event-ID'] = String(after);
  }
  const path = `/streams/${encodeURIComponent(streamId)}/events`;
  return context.http.open(String(query) ? `${path}?${query}` : path, { headers, streamId, session: !ticket, signal });
}

// When the first event has no data, or is a reset, its id is the offset after which this connection begins.
function eventHandler(context) {
  let connected = false;
  return ({ data, type, lastEventId }) => {
    if (type !== 'message') return;
    const offset = /^\d+$/.test(lastEventId) ? Number(lastEventId) : undefined;
    const frame = data === null ? null : parseEvent(data, context);
    if (!connected) {
      connected = true;
      context.onConnected(frame?.envelope ? {} : { offset });
    }
    if (frame?.reset) context.onReset(frame.offset);
    else if (frame) context.onFrame(frame);
  };
}

// Returns a frame, a reset frame, or null after it has reported a bad frame.
function parseEvent(data, context) {
  try {
    const frame = parseJson(data);
    return frame?.reset === true && Number.isSafeInteger(frame.offset) ? frame : parseFrame(frame);
  } catch (error) {
    context.onBadFrame(error);
    return null;
  }
}
