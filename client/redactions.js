// Remembers which messages of a stream lost their content, and which messages the application got. A redaction is a system
// message: message_redacted for one message, or messages_purged for the messages of a user before it that were sealed from
// one moment to another. It may arrive before its message: from another transport, out of order, or while the history is read.
import { canonicalize } from './canonical.js';
import { isSystemMessage } from './system_messages.js';
import { isRedacted, payloadHash } from './verify_envelope.js';

const MAX_REDACTIONS = 1000; // of single messages, and as many purges
const MAX_HANDED = 1000; // messages

// Returns the redaction that a frame states (index.d.ts, Redaction), or null for any other frame.
export function redactionOf({ offset, envelope }) {
  const { ts } = envelope;
  const d = envelope.d ?? {};
  const { by = null, reason = null } = d;
  if (isSystemMessage(envelope, 'message_redacted') && isText(d.sender_id) && isText(d.txn_id)) {
    const offsets = Number.isSafeInteger(d.offset) ? [d.offset] : [];
    const { sender_id: senderId, txn_id: txnId } = d;
    return { senderId, txnId, since: null, through: null, before: null, offsets, by, at: ts, reason };
  }
  if (isSystemMessage(envelope, 'messages_purged') && isText(d.user_id) && isTime(d.since) && isTime(d.through)) {
    const { user_id: senderId, since, through } = d;
    return { senderId, txnId: null, since, through, before: offset, offsets: [], by, at: ts, reason };
  }
  return null;
}

// Returns whether the redaction concerns the message.
export function covers({ senderId, txnId, since, through, before }, { offset, envelope: { s, txn_id: id, ts } }) {
  if (s !== senderId) return false;
  return txnId === null ? ts >= since && ts <= through && (offset === null || offset < before) : id === txnId;
}

// Returns the frame as the server sends it after the redaction. The hash is left out where it cannot be calculated: on a page
// without crypto.subtle, or for content that has no canonical form.
export async function withoutContent({ offset, prev, envelope }, { by, at, reason }) {
  const { v, kid, t, stream_id, s, ts, txn_id, d, sig } = envelope;
  const hash = await hashOf(d).catch(() => null);
  const redacted = { v, kid, t, stream_id, s, ts, txn_id, d: null, ...(hash && { payload_hash: hash }), sig };
  return { offset, prev, envelope: redacted, redacted: { by, at, reason } };
}

const hashOf = async (d) => payloadHash(canonicalize(d));

export class Redactions {
  #ofMessages = new Map(); // sender and txn_id → {redaction, told}, oldest first
  #purges = new Map(); // offset of messages_purged → {redaction, told}, oldest first
  #handed = new Map(); // sender and txn_id → {offset, envelope: {s, txn_id, ts}, hasContent} of the newest handed messages

  // Returns whether this redaction is new.
  add(redaction) {
    const [known, key] = this.#place(redaction);
    if (known.has(key)) return false;
    remember(known, key, { redaction, told: false }, MAX_REDACTIONS);
    return true;
  }

  // Returns the redaction that covers this frame's message, or undefined.
  find(frame) {
    const one = this.#ofMessages.get(keyOf(frame.envelope.s, frame.envelope.txn_id));
    if (one) return one.redaction;
    for (const { redaction } of this.#purges.values()) if (covers(redaction, frame)) return redaction;
    return undefined;
  }

  // To be called when the handler gets this frame.
  handed({ offset, envelope }) {
    const { s, txn_id, ts } = envelope;
    const message = { offset, envelope: { s, txn_id, ts }, hasContent: !isRedacted(envelope) };
    remember(this.#handed, keyOf(s, txn_id), message, MAX_HANDED);
  }

  // Returns the redaction as the application is told of it, with the offsets of the messages that it got with content.
  // Returns null when the application got none, or knows already. `through`: the handler is done with messages up to this
  // offset; null before the first offset is known.
  takeNews(redaction, through) {
    const [known, key] = this.#place(redaction);
    const entry = known.get(key);
    if (!entry || entry.told || through === null) return null;
    const about = [...this.#handed.values()].filter((message) => covers(redaction, message));
    const shown = about.filter(({ hasContent }) => hasContent);
    // An application may have older messages than those remembered here.
    const mayHaveOlder = redaction.txnId === null || (about.length === 0 && redaction.offsets[0] <= through);
    if (shown.length === 0 && !mayHaveOlder) return null;
    entry.told = true;
    for (const message of shown) message.hasContent = false;
    const offsets = shown.map(({ offset }) => offset).filter((offset) => offset !== null);
    return { ...redaction, offsets: [...new Set([...redaction.offsets, ...offsets])] };
  }

  // To be called when the stream was set back to this offset, so that the messages and the purges after it come again.
  rewound(to) {
    for (const [key, { redaction }] of this.#purges) if (redaction.before > to) this.#purges.delete(key);
    for (const [key, { offset }] of this.#handed) if (offset === null || offset > to) this.#handed.delete(key);
  }

  #place({ senderId, txnId, before }) {
    return txnId === null ? [this.#purges, before] : [this.#ofMessages, keyOf(senderId, txnId)];
  }
}

const keyOf = (senderId, txnId) => `${senderId} ${txnId}`;
const isText = (value) => typeof value === 'string' && value !== '';
const isTime = (value) => Number.isSafeInteger(value) && value >= 0;

function remember(map, key, value, limit) {
  map.set(key, value);
  if (map.size > limit) map.delete(map.keys().next().value);
}
