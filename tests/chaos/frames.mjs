// Checks the frames that the readers received, for the checker. A reader of event streams gets a reset when a history ends.
// A reader of another transport gets no sign: frames of a lost history are then followed by those of the new one.
import { mayBeOfLost } from './losses.mjs';
import { SYSTEM, entryMayLack, isSame } from './redactions.mjs';

// `texts` are the envelopes of each stream, by offset.
export function checkFrames(history, texts, verifies, report) {
  const { attempts, deliveries, losses, epoch } = history;
  const mayLack = entryMayLack(history);
  const contents = new Map(attempts.map(({ txnId }) => [txnId, new Set()]));
  for (const { txnId, content } of attempts) contents.get(txnId).add(content);
  // Whether the frame is of a history that was lost.
  const isLost = (frame) => {
    if (!mayBeOfLost(losses, frame.arrived) || (frame.epoch && frame.epoch === epoch) || !verifies(frame.text)) return false;
    const { txn_id, s, d } = JSON.parse(frame.text);
    if (s === SYSTEM) return true;
    return (d === null ? contents.has(txn_id) : contents.get(txn_id)?.has(d.content)) ?? false;
  };
  const given = new Map(); // epoch, stream and offset → text
  const epochs = new Set([epoch]);
  for (const [reader, streams] of Object.entries(deliveries)) {
    for (const streamId of Object.keys(streams)) {
      if (!texts.has(streamId) && streams[streamId].length > 0) report('every delivered message is stored', `${reader}: stream ${streamId} has no messages`);
    }
    for (const [streamId, expected] of texts) {
      const frames = streams[streamId] ?? [];
      const name = `${reader}, ${streamId}`;
      checkTexts(name, frames.filter(({ reset }) => !reset), expected, isLost, report);
      checkOrder(name, frames, expected, isLost, reader === 'redis_streams' ? mayLack : () => false, report);
      for (const frame of frames) epochs.add(frame.epoch ?? epoch);
      checkAgreement(name, streamId, frames, given, report);
    }
  }
  if (epochs.size > 1 + losses.length) report('only lost commits begin an epoch', `${losses.length} losses, and the epochs ${[...epochs]}`);
}

const txnOf = (text) => /"txn_id":"([^"]+)"/.exec(text)?.[1];

function checkTexts(name, frames, expected, isLost, report) {
  for (const frame of frames) {
    const { offset, prev, text } = frame;
    if (prev !== offset - 1) report('prev is the offset of the previous frame', `${name}, offset ${offset}: prev is ${prev}`, txnOf(text));
    if (isSame(text, expected[offset - 1]) || isLost(frame)) continue;
    report('the delivered envelope is the stored envelope', `${name}, offset ${offset}: ${text}, stored ${expected[offset - 1]}`, txnOf(text));
  }
}

// Reads the frames as a client does: a frame up to the last offset is a repeat, and `prev` shows a gap. After a reset, a
// client discards its messages. `mayLack(text)`: a Redis stream loses
// the entries of redacted messages.
function checkOrder(name, frames, expected, isLost, mayLack, report) {
  // Whether the reader must have got a message from the offset `from` to before `to`.
  const lacks = (from, to) => expected.slice(from - 1, to - 1).some((text) => !mayLack(text));
  const order = (details, text) => report('every reader gets every message in the order of offsets', details, txnOf(text));
  let [last, epoch] = [0, frames[0]?.epoch];
  for (const frame of frames) {
    if (frame.reset) {
      if (frame.epoch === epoch) report('a resume point of the same epoch gets no reset', `${name}: reset to ${frame.offset} in epoch ${epoch}`);
      [last, epoch] = [0, frame.epoch]; // a run keeps all messages
      continue;
    }
    const { offset, text } = frame;
    if (frame.epoch !== epoch) report('a new epoch begins with a reset', `${name}, offset ${offset}: epoch ${frame.epoch} after ${epoch}`);
    // Without epochs, a client tells the histories apart by their messages.
    if (!epoch && !isSame(text, expected[offset - 1]) && isLost(frame)) continue;
    if (offset <= last) continue;
    if (offset > last + 1 && lacks(last + 1, offset)) order(`${name}, offset ${offset} follows ${last}`, text);
    last = offset;
  }
  if (last < expected.length && lacks(last + 1, expected.length + 1)) order(`${name}: nothing after ${last} of ${expected.length}`);
}

// All readers get the same message under the same offset of an epoch.
function checkAgreement(name, streamId, frames, given, report) {
  for (const { epoch, offset, text, reset } of frames) {
    if (!epoch || reset) continue;
    const key = `${epoch} ${streamId} ${offset}`;
    if (!given.has(key)) given.set(key, text);
    else if (!isSame(given.get(key), text)) report('an epoch has one history', `${name}, epoch ${epoch}, offset ${offset}: ${text}, and ${given.get(key)}`, txnOf(text));
  }
}
