// The sequencer when the log gets another epoch, as after a restore: the offsets then belong to other messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { parseResumePoint } from '../../client/resume_point.js';
import { Sequencer } from '../../client/sequencer.js';
import { within } from '../integration/waiting.mjs';
import { AT_ONCE } from './sequencer_model.mjs';

// A model of a log with an epoch: its history answers a foreign resume point with a reset, as the server does.
class Log {
  reported = [];
  messages = [];
  requests = 0;
  asked = []; // the bounds of the requests

  constructor(from) {
    this.sequencer = new Sequencer({
      deliver: ({ offset, envelope, gone }) => this.#note(gone ? `${offset} gone` : `${offset} ${envelope.sig}`),
      dropped: ({ from: first, to }) => this.#note(`${first}-${to}`),
      rewound: ({ offset }) => this.#note(`back to ${offset}`),
      historyFailed: assert.ifError,
      history: async ({ after, before, limit }) => {
        this.requests++;
        this.asked.push([after, before]);
        const [bound, end] = [parseResumePoint(after), before === undefined ? null : parseResumePoint(before)];
        const reset = bound.epoch !== null && bound.epoch !== this.epoch;
        const inRange = ({ offset }) => reset || (offset > bound.offset && !(offset >= end?.offset));
        const messages = this.messages.filter(inRange).slice(0, limit);
        return { messages, first: 1, last: this.messages.length, epoch: this.epoch, ...(reset && { reset }) };
      },
      ...AT_ONCE,
    });
    const { offset, epoch } = parseResumePoint(from);
    this.sequencer.start(offset, epoch);
  }

  begin(epoch, signatures) {
    this.epoch = epoch;
    this.messages = signatures.map((sig, i) => ({ offset: i + 1, prev: i, envelope: { sig } }));
  }

  #note(what) {
    this.reported.push(what);
    this.changed?.();
  }

  async has(reported) {
    await within(
      `${reported}`,
      new Promise((resolve) => (this.changed = () => this.reported.length >= reported.length && resolve())),
    ).catch(() => {});
    assert.deepEqual(this.reported, reported);
  }
}

const signed = (label, count) => Array.from({ length: count }, (_, i) => `${label}${i + 1}`);
const reports = (signatures) => signatures.map((sig, i) => `${i + 1} ${sig}`);

test('frames of a restored log with old offsets are noticed, and everything that is kept comes again', async () => {
  const log = new Log('old:0');
  const [old, restored] = [signed('a', 10), [...signed('a', 5), ...signed('b', 7)]];
  log.begin('old', old);
  for (const frame of log.messages) log.sequencer.push(frame);
  assert.equal(log.sequencer.resumePoint, 'old:0');
  await log.has(reports(old));
  assert.equal(log.sequencer.resumePoint, 'old:10');
  log.begin('new', restored);
  log.sequencer.push(log.messages[5]); // offset 6 again, with another message
  await log.has([...reports(old), 'back to 0', ...reports(restored)]);
  assert.equal(log.sequencer.resumePoint, 'new:12');
  log.sequencer.close();
});

test('repeats of the same log are no reason to read the history', async () => {
  const log = new Log('old:0');
  log.begin('old', signed('a', 10));
  for (const frame of [...log.messages, ...log.messages]) log.sequencer.push(frame);
  await log.has(reports(signed('a', 10)));
  for (const frame of log.messages) log.sequencer.push(frame);
  assert.equal(log.requests, 0);
  log.sequencer.close();
});

test('a second start() changes nothing', async () => {
  const log = new Log('x:2');
  log.sequencer.start(0, 'y');
  assert.equal(log.sequencer.resumePoint, 'x:2');
  log.sequencer.close();
});

test('an epoch is learnt when none is known, and an unknown one contradicts nothing', async () => {
  const log = new Log('2');
  assert.equal(log.sequencer.belongsTo(null), true);
  assert.equal(log.sequencer.resumePoint, '2');
  assert.equal(log.sequencer.belongsTo('x'), true);
  assert.equal(log.sequencer.resumePoint, 'x:2');
  assert.equal(log.sequencer.belongsTo(null), true);
  assert.equal(log.sequencer.belongsTo('y'), false);
  log.sequencer.close();
});

test('frames that the first frame of a page shows as missing are reported as deleted', async () => {
  const log = new Log('x:3');
  log.begin('x', signed('a', 7));
  log.messages.splice(3, 2); // 4 and 5 are gone, although 1 is kept
  log.sequencer.push(log.messages.at(-1));
  await log.has(['4-5', '6 a6', '7 a7']);
  assert.equal(log.requests, 1);
  log.sequencer.close();
});

test('another message with the offset of the newest delivered frame shows that the log was restored', async () => {
  const log = new Log('old:0');
  log.begin('old', signed('a', 3));
  for (const frame of log.messages) log.sequencer.push(frame);
  await log.has(reports(signed('a', 3)));
  log.begin('new', signed('b', 3));
  log.sequencer.push(log.messages[2]);
  await log.has([...reports(signed('a', 3)), 'back to 0', ...reports(signed('b', 3))]);
  log.sequencer.close();
});

test('an old frame that was never delivered here shows that the log was restored', async () => {
  const log = new Log('old:10');
  log.begin('new', signed('b', 7));
  log.sequencer.push(log.messages[6]);
  await log.has(['back to 0', ...reports(signed('b', 7))]);
  log.sequencer.close();
});

test('many old frames that were never delivered here cause one request to the history', async () => {
  const log = new Log('old:10');
  log.begin('old', signed('a', 10));
  for (const frame of log.messages) {
    log.sequencer.push(frame);
    await nextTick();
  }
  assert.equal(log.requests, 1);
  log.sequencer.close();
});

test('signatures from before a rewind are forgotten', async () => {
  const log = new Log('old:0');
  log.begin('old', signed('a', 3));
  for (const frame of log.messages) log.sequencer.push(frame);
  await log.has(reports(signed('a', 3)));
  log.begin('old', signed('b', 2));
  log.sequencer.rewind(2);
  for (let i = 0; i < 5; i++) {
    log.sequencer.push(log.messages[1]);
    await nextTick();
  }
  assert.equal(log.requests, 1, 'an unknown old frame is checked once in five seconds');
  log.sequencer.close();
});

test('the signatures of the newest 256 delivered frames are remembered', async () => {
  const log = new Log('old:0');
  log.begin('old', signed('a', 300));
  for (const frame of log.messages) log.sequencer.push(frame);
  await log.has(reports(signed('a', 300)));
  log.sequencer.push(log.messages[300 - 256]);
  assert.equal(log.requests, 0);
  log.sequencer.push(log.messages[300 - 257]);
  assert.equal(log.requests, 1);
  log.sequencer.close();
});

test('a gap is filled with the epoch, and a resume point of another epoch is rewound', async () => {
  const log = new Log('old:10');
  log.begin('new', signed('b', 12));
  log.sequencer.push({ ...log.messages[11], prev: 11 });
  await log.has(['back to 0', ...reports(signed('b', 12))]);
  assert.deepEqual(log.asked[0], ['old:10', 'old:12']);
  log.sequencer.close();
});

test('a message that is gone fills its gap, and moves the position', async () => {
  const log = new Log('x:0');
  log.begin('x', signed('a', 4));
  log.messages[1] = { offset: 2, prev: 1, gone: true };
  log.sequencer.push(log.messages[0]);
  log.sequencer.push(log.messages[2]); // the gone frame comes from the history
  log.messages[3] = { offset: 4, prev: 3, gone: true };
  log.sequencer.push(log.messages[3]);
  await log.has(['1 a1', '2 gone', '3 a3', '4 gone']);
  assert.equal(log.sequencer.resumePoint, 'x:4');
  log.sequencer.close();
});
