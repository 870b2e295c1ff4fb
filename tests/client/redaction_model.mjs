// A model of a stream with redactions, its history and two transports, for tests of a reader. All envelopes are signed.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { setImmediate as nextTick } from 'node:timers/promises';
import { covers, createClient } from '../../client/index.js';
import { parseFrame } from '../../client/frame.js';
import { payloadHash, signingString } from '../integration/envelope.mjs';
import { within } from '../integration/waiting.mjs';
import { JSON_TYPE } from './foreign_server.mjs';
import { AT_ONCE } from './sequencer_model.mjs';

const NIL = '00000000-0000-0000-0000-000000000000';
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
export const publicKeys = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'm1' }] };

// A UUID that is the same for the same text.
const uuidOf = (text) => createHash('sha256').update(text).digest('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');

export function sealed(streamId, { t = 'chat', s = randomUUID(), ts = 1_700_000_000_000, txn_id = randomUUID(), d = { content: 'x' } } = {}) {
  const envelope = { v: 1, kid: 'm1', t, stream_id: streamId, s, ts, txn_id, d };
  return { ...envelope, sig: sign(null, Buffer.from(signingString(envelope)), privateKey).toString('hex') };
}

export const systemMessage = (streamId, t, d, more) => sealed(streamId, { t, s: NIL, d, ...more });

export const redactionOf = (streamId, { s, txn_id }, offset, more = {}) =>
  systemMessage(streamId, 'message_redacted', { by: null, offset, reason: null, sender_id: s, txn_id, ...more });

// The envelope as the server sends it after the redaction.
export function redactedForm({ d, sig, ...others }) {
  return { ...others, d: null, payload_hash: payloadHash(d), sig };
}

// A driver that the test feeds: feed(frame), when it is connected.
export function pigeon(name = 'pigeon') {
  const connect = (streamId, context) =>
    new Promise((resolve) => {
      driver.feed = (frame) => context.onFrame(parseFrame(JSON.stringify(frame)));
      context.signal.addEventListener('abort', resolve, { once: true });
      context.onConnected({ offset: 0, epoch: 'e1' });
    });
  const driver = { name, resumes: true, connect };
  return driver;
}

// A fetch whose history is page({after, before, limit}), and which answers other requests with answer(path, body).
export function fetchOf(page, answer = () => null) {
  return async (url, { body } = {}) => {
    const { pathname, searchParams } = new URL(url);
    const number = (name, none) => Number(/\d+$/.exec(searchParams.get(name))?.[0] ?? none);
    const isPage = pathname.endsWith('/messages');
    const query = { after: number('after', 0), before: number('before', Infinity), limit: number('limit', 50) };
    const value = isPage ? await page(query) : await answer(pathname, body);
    const { status = 200, ...content } = value ?? { status: 404, code: 'none', message: 'none' };
    return new Response(JSON.stringify(content), { status, headers: JSON_TYPE });
  };
}

// A stream with random redactions, and a reader that checks what it is given at once.
export class RedactionModel {
  handed = []; // {offset, redacted} of each call of the handler, in order
  told = []; // the redactions of the calls of onRedacted
  last = 0; // the newest offset that is published
  #dice;
  #streamId = randomUUID();
  #log = []; // {frame, event}: event is the redaction that the frame states, as covers() takes it; null for a message
  #arrived = []; // events that a transport has brought
  #busy = false;
  #drivers = [pigeon('one'), pigeon('two')];

  constructor(dice, size, { verify, limits }) {
    this.#dice = dice;
    for (let offset = 1; offset <= size; offset++) this.#log.push(this.#entry(offset));
    const url = 'https://model.example';
    this.client = createClient({ url, transports: this.#drivers, publicKeys, fetch: fetchOf((query) => this.#page(query)) });
    const options = { ...AT_ONCE, ...limits, from: 0, verify, quietMs: 0 };
    const onRedacted = (redaction) => this.#call(() => this.#noteTold(redaction));
    const onError = ({ code, message }) => assert.equal(code, 'overloaded', message);
    const handler = (frame) => this.#call(() => this.#noteHanded(frame));
    this.subscription = this.client.subscribeStreamEvents(this.#streamId, handler, { ...options, onRedacted, onError });
  }

  // Both transports read at once, as in a migration that never ends.
  async begin() {
    await this.subscription.ready;
    this.migration = this.subscription.migrate('two', { overlapMs: Infinity });
    this.migration.catch(() => {});
    while (!this.#drivers[1].feed) await nextTick();
  }

  // Publishes this offset, if it is new, and one transport brings it: as it was published, or as it is now.
  bring(transport, offset) {
    this.last = Math.max(this.last, offset);
    const { frame, event } = this.#log[offset - 1];
    this.#drivers[transport].feed(this.#dice.chance(0.3) ? this.#now(frame, this.last) : frame);
    if (event) this.#arrived.push(event);
  }

  publishAll() {
    this.last = this.#log.length;
    // Another copy of the last message, whose prev shows what is missing.
    this.bring(0, this.last);
  }

  async reached(offset) {
    const wait = async () => {
      while (this.subscription.offset < offset) await nextTick();
    };
    await within(`offset ${offset} is handled`, wait());
  }

  close() {
    return this.subscription.close();
  }

  // What each message must have come to.
  assertOutcome(what) {
    assert.deepEqual(this.handed.map(({ offset }) => offset), this.#log.map(({ frame }) => frame.offset), `${what}: in order, and once`);
    for (const { offset, redacted } of this.handed) {
      const { frame } = this.#log[offset - 1];
      const isAffected = this.#eventsUpTo(this.last).some((event) => covers(event, frame));
      const times = this.told.filter(({ offsets }) => offsets.includes(offset)).length;
      if (!isAffected) assert.deepEqual([redacted, times], [false, 0], `${what}: ${offset} is not redacted`);
      else assert.equal(times, redacted ? 0 : 1, `${what}: ${offset} was handed over ${redacted ? 'without' : 'with'} content, and told ${times} times`);
    }
  }

  #entry(offset) {
    const dice = this.#dice;
    const messages = this.#log.filter(({ event }) => !event).map(({ frame }) => frame);
    const target = messages[dice.below(messages.length)];
    const ts = 1_700_000_000_000 + 10 * offset - dice.below(60); // not quite in the order of the offsets
    const make = (envelope, event = null) => ({ frame: { offset, prev: offset - 1, envelope }, event });
    const about = { since: null, through: null, before: null };
    if (target && dice.chance(0.2)) {
      const { s, txn_id } = target.envelope;
      const envelope = redactionOf(this.#streamId, target.envelope, target.offset);
      return make(envelope, { ...about, senderId: s, txnId: txn_id });
    }
    if (dice.chance(0.05)) {
      // The message has no offset yet, and comes later.
      const next = { s: this.#user(), txn_id: this.#txnId(offset + 1 + dice.below(3)) };
      return make(redactionOf(this.#streamId, next, null), { ...about, senderId: next.s, txnId: next.txn_id });
    }
    if (dice.chance(0.08)) {
      const [user_id, since, through] = [this.#user(), ts - dice.below(400), ts + dice.below(40)];
      return make(systemMessage(this.#streamId, 'messages_purged', { since, through, user_id }, { ts }), { senderId: user_id, txnId: null, since, through, before: offset });
    }
    return make(sealed(this.#streamId, { s: this.#user(), ts, txn_id: this.#txnId(offset), d: { content: `secret ${offset}` } }));
  }

  #user() {
    return uuidOf(`user ${this.#dice.below(3)}`);
  }

  #txnId(offset) {
    return uuidOf(`${this.#streamId} ${offset}`);
  }

  #eventsUpTo(last) {
    return this.#log.slice(0, last).flatMap(({ event }) => event ?? []);
  }

  // The frame as the server sends it when `last` is the newest offset.
  #now(frame, last) {
    if (!this.#eventsUpTo(last).some((event) => covers(event, frame))) return frame;
    return { ...frame, envelope: redactedForm(frame.envelope), redacted: { by: null, at: 1, reason: null } };
  }

  // A page is read at once, but may be answered later.
  async #page({ after, before, limit }) {
    const { last } = this;
    const frames = this.#log.slice(after, Math.min(last, before - 1, after + limit)).map(({ frame }) => this.#now(frame, last));
    while (this.#dice.chance(0.3)) await nextTick();
    if (this.#dice.chance(0.1)) return { status: 503, code: 'overloaded', message: 'not now' };
    return { messages: frames, first: 1, last, epoch: 'e1' };
  }

  async #call(note) {
    assert.ok(!this.#busy, 'the application is called once at a time');
    this.#busy = true;
    note();
    if (this.#dice.chance(0.3)) await nextTick();
    this.#busy = false;
  }

  #noteHanded({ offset, envelope, redacted }) {
    const { frame } = this.#log[offset - 1];
    const original = frame.envelope;
    if (redacted) {
      assert.deepEqual(envelope, redactedForm(original), `${offset}: the proof stays`);
    } else {
      assert.deepEqual(envelope, original);
      const known = this.#arrived.find((event) => covers(event, frame));
      assert.ok(!known, `the content of ${offset} is handed over although its redaction has arrived`);
    }
    this.handed.push({ offset, redacted: redacted !== undefined });
  }

  #noteTold(redaction) {
    for (const offset of redaction.offsets) {
      const isShown = this.handed.some((message) => message.offset === offset && !message.redacted);
      assert.ok(isShown, `${offset} is told although it was not handed over with content`);
      assert.ok(covers(redaction, this.#log[offset - 1].frame));
    }
    this.told.push(redaction);
  }
}
