// Parses and checks a frame. Every transport carries the same forms: {"offset", "prev", "envelope"}; the same with
// "redacted": {"by", "at", "reason"} when the content is gone and the envelope has its hash instead; and
// {"offset", "prev", "gone": true} when the message is gone and only its offset stays. A retained message that a late joiner
// gets first has "retained": true.
import { failure } from './errors.js';

// Parses JSON text, or its bytes. Returns any other value as it is, since an SDK may have parsed it already.
// Throws SealcastError `bad_frame`.
export function parseJson(data) {
  try {
    const isBytes = data instanceof Uint8Array || data instanceof ArrayBuffer;
    const text = isBytes ? new TextDecoder().decode(data) : data;
    return typeof text === 'string' ? JSON.parse(text) : text;
  } catch (error) {
    throw failure('bad_frame', 'a frame is not JSON', error);
  }
}

// Accepts the same input as parseJson(). Throws SealcastError `bad_frame`.
export function parseFrame(data) {
  const { offset, prev, envelope, redacted, gone, retained } = parseJson(data) ?? {};
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(prev) && prev >= 0 && prev < offset;
  if (valid && gone === true && envelope === undefined) return { offset, prev, gone };
  if (!valid || typeof envelope !== 'object' || envelope === null) {
    throw failure('bad_frame', 'a frame has no valid offset, prev and envelope');
  }
  if (envelope.d !== null && (redacted ?? null) === null) {
    return retained === true ? { offset, prev, envelope, retained } : { offset, prev, envelope };
  }
  if (envelope.d !== null || typeof redacted !== 'object' || redacted === null) {
    throw failure('bad_frame', 'a frame has content and is redacted, or has neither content nor a redaction');
  }
  const { by = null, at = null, reason = null } = redacted;
  return { offset, prev, envelope, redacted: { by, at, reason } };
}
