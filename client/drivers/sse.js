// Reads the sidecar's own Server-Sent Events (docs/http.md) with fetch(). EventSource is not used: Node.js has none, and a
// browser's sends no Authorization header, hides the HTTP status and does not notice a dead connection.
import { checkOptions, FLAG, MS } from '../check.js';
import { failure } from '../errors.js';
import { EventStream } from '../event_stream.js';
import { parseFrame, parseJson } from '../frame.js';
import { parseResumePoint } from '../resume_point.js';
import { startTimer } from '../timers.js';
import { onWake } from '../wake.js';

// After this time without a byte, a connection is given up when its page wakes. The server sends a heartbeat every 15 s.
const SUSPECT_MS = 20_000;

// With `ticket`, a ticket in the URL replaces the session. Then the request has no header that needs a CORS preflight, or
// that a proxy could strip. A connection that brings no byte for `silenceMs` is given up as dead; the server sends a
// comment every sse.heartbeat_ms (15 s).
export function sse(options = {}) {
  const { ticket = false, silenceMs = 45_000 } = checkOptions('sse()', options, { ticket: FLAG, silenceMs: MS });
  const connect = (streamId, context) => readEvents(streamId, context, { ticket, silenceMs });
  return { name: 'sse', resumes: true, connect };
}

async function readEvents(streamId, context, { ticket, silenceMs }) {
  const stop = new AbortController();
  const follow = () => stop.abort(context.signal.reason);
  context.signal.addEventListener('abort', follow, { once: true });
  let lastByteAt = null;
  let stopSilenceTimer = () => {};
  const restartSilenceTimer = () => {
    lastByteAt = Date.now();
    stopSilenceTimer();
    const giveUp = () => stop.abort(failure('silence', `the event stream brought nothing for ${silenceMs} ms`));
    stopSilenceTimer = startTimer(silenceMs, giveUp);
  };
  // The region is not to blame, so this is not reported as silence.
  const stopWaking = onWake(() => {
    if (lastByteAt === null) return;
    stopSilenceTimer();
    const giveUp = () => stop.abort(failure('connection_lost', 'the event stream brought nothing since before the page woke'));
    stopSilenceTimer = startTimer(Math.min(silenceMs, SUSPECT_MS) - (Date.now() - lastByteAt), giveUp);
  });
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
    stopSilenceTimer();
    stopWaking();
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
    headers['Last-Event-ID'] = after;
  }
  const path = `/streams/${encodeURIComponent(streamId)}/events`;
  return context.http.open(String(query) ? `${path}?${query}` : path, { headers, streamId, session: !ticket, signal });
}

// When the first event is `ready`, or is a reset, its id is the resume point at which this connection begins.
function eventHandler(context) {
  let connected = false;
  return ({ data, type, lastEventId }) => {
    if (type === 'notice') return readNotice(data, context);
    if (type !== 'message' && type !== 'ready') return;
    const { offset, epoch } = parseResumePoint(lastEventId) ?? {};
    const frame = data === null || type === 'ready' ? null : parseEvent(data, context);
    if (frame?.retained) return context.onRetained(frame); // comes before the resume point
    if (!connected) {
      connected = true;
      context.onConnected(frame && !frame.reset ? { epoch } : { offset, epoch });
    }
    if (frame?.reset) context.onReset(frame.offset, epoch);
    else if (frame) context.onFrame(frame);
  };
}

// A notice has no id, and is no frame. It may come before the first event.
function readNotice(data, context) {
  try {
    context.onNotice(parseJson(data));
  } catch (error) {
    context.onBadFrame(error);
  }
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
