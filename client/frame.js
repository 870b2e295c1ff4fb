// A frame as every transport carries it: {"offset", "prev", "envelope"}.
import { failure } from './errors.js';

// From JSON text, its bytes, or what an SDK has parsed. Throws SealcastError `bad_frame`.
export function parseFrame(data) {
  let frame = data;
  try {
    if (data instanceof Uint8Array || data instanceof ArrayBuffer) frame = new TextDecoder().decode(data);
    if (typeof frame === 'string') frame = JSON.parse(frame);
  } catch (error) {
    throw failure('bad_frame', 'a frame is not JSON', error);
  }
  const { offset, prev, envelope } = frame ?? {};
  const sound = Number.isSafeInteger(offset) && Number.isSafeInteger(prev) && prev >= 0 && prev < offset;
  if (!sound || typeof envelope !== 'object' || envelope === null) {
    throw failure('bad_frame', 'a frame has no offset, prev and envelope');
  }
  return { offset, prev, envelope };
}
