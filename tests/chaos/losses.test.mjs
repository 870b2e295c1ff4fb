// Tests the checker with histories in which Postgres has lost commits: it allows what a failover may lose, and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check } from './checker.mjs';

const room = 'room';
const envelope = (n, seal = 'right', content = `c${n}`) => `{"txn_id":"t${n}","d":{"content":"${content}"},"sig":"${seal}"}`;
const [OLD, NEW] = ['E0', 'E1'];
const again = envelope(2, 'right again'); // the second message, inserted again after the loss
const attempt = (n, began, answer = {}) => ({
  ...{ sender: 'ann', txnId: `t${n}`, streamId: room, content: `c${n}`, status: 200, replayed: false, text: envelope(n) },
  ...{ url: 'a', began, ended: began + 10, ...answer },
});
const frame = (offset, text, arrived, epoch) => ({ offset, prev: offset - 1, text, arrived, epoch });
const event = (n) => ({ sender: 'ann', txnId: `t${n}` });

// Postgres has lost the messages 2 and 3. The second was sent again, and the fourth got the offset of the third.
const correct = () => ({
  attempts: [attempt(1, 1_000), attempt(2, 11_000), attempt(3, 11_500), attempt(2, 13_500, { text: again }), attempt(4, 14_000)],
  run: { seconds: 0.5, scheduled: 1, urls: ['a'], began: 0, ended: 0 },
  reads: [],
  calls: [],
  faults: [{ fault: 'failover', target: 'postgres', injected: 10_000, removed: 13_000 }],
  stored: [[1, envelope(1)], [2, again], [4, envelope(4)]].map(([n, text]) => ({ ...event(n), streamId: room, text })),
  logged: [1, 2, 4].map((n, i) => ({ ...event(n), streamId: room, offset: i + 1 })),
  deliveries: {
    sse: {
      [room]: [frame(1, envelope(1), 1_020, OLD), frame(2, envelope(2), 11_020, OLD), frame(3, envelope(3), 11_520, OLD),
        { reset: true, offset: 0, epoch: NEW }, frame(1, envelope(1), 13_100, NEW), frame(2, again, 13_600, NEW), frame(3, envelope(4), 14_020, NEW)],
    },
    mqtt: { [room]: [frame(1, envelope(1), 1_020), frame(2, envelope(2), 11_020), frame(3, envelope(3), 11_520), frame(2, again, 13_600), frame(3, envelope(4), 14_020)] },
  },
  repaired: [],
  effects: [1, 2, 4].map((n) => ({ ...event(n), times: 1 })),
  losses: [{ from: 10_000, to: 12_000 }],
  epoch: NEW,
});
const verifies = (text) => text.includes('"sig":"right');
const violated = (history) => [...new Set(check(history, verifies).map(({ guarantee }) => guarantee))];

test('a failover that lost answered messages violates nothing', () => {
  assert.deepEqual(check(correct(), verifies), []);
});

test('the lost answer of a message may have decided it', () => {
  const history = correct();
  history.attempts.splice(2, 0, attempt(3, 11_100, { status: 503, code: 'overloaded', text: undefined }));
  assert.deepEqual(check(history, verifies), []);
});

test('other content under the txn_id of a lost message is refused before the loss, and may be accepted after it', () => {
  const history = correct();
  const other = envelope(3, 'right', 'not c3');
  history.attempts.push(attempt(3, 11_600, { content: 'not c3', status: 409, code: 'txn_id_reused', text: undefined }), attempt(3, 15_000, { content: 'not c3', text: other }));
  history.stored.push({ ...event(3), streamId: room, text: other });
  history.logged.push({ ...event(3), streamId: room, offset: 4 });
  history.effects.push({ ...event(3), times: 1 });
  history.deliveries.sse[room].push(frame(4, other, 15_020, NEW));
  history.deliveries.mqtt[room].push(frame(4, other, 15_020));
  assert.deepEqual(check(history, verifies), []);
});

const sse = ({ deliveries }) => deliveries.sse[room];
const mqtt = ({ deliveries }) => deliveries.mqtt[room];
const complete = 'every reader gets every message in the order of offsets';
const same = 'the delivered envelope is the stored envelope';
for (const [how, guarantee, violate] of [
  ['the lost message was answered before the time that is lost', '200 means committed', (h) => Object.assign(h.attempts[2], { began: 9_000, ended: 9_010 })],
  ['the lost message was sent after the time that is lost', '200 means committed', (h) => (h.attempts[2].began = 12_500)],
  ['no time is lost', '200 means committed', (h) => (h.losses = [])],
  ['a lost message has an invalid seal', 'every answered envelope has a valid seal', (h) => (h.attempts[2].text = envelope(3, 'forged'))],
  ['a lost message has other content', 'the sealed message is the sent message', (h) => (h.attempts[2].text = envelope(3, 'right', 'else'))],
  ['a lost message was inserted twice', 'a txn_id is inserted once', (h) => h.attempts.push({ ...h.attempts[2] })],
  ['a message is inserted twice after the loss', 'a txn_id is inserted once', (h) => h.attempts.push(attempt(2, 15_000, { text: again }))],
  ['a lost message has an effect', 'only stored messages have effects', (h) => h.effects.push({ ...event(3), times: 1 })],
  ['the message that was inserted again has no effect', 'each stored message has its effect once', (h) => h.effects.splice(1, 1)],
  ['a transport has nothing of the new history', complete, (h) => mqtt(h).splice(3)],
  ['a transport lacks a message of the new history', complete, (h) => mqtt(h).splice(3, 1)],
  ['a transport has a lost message long after the loss', same, (h) => mqtt(h).push(frame(3, envelope(3), 40_000))],
  ['a transport has a message of the lost history that none sent', same, (h) => (mqtt(h)[2].text = envelope(9))],
  ['a reader gets no reset', 'a new epoch begins with a reset', (h) => sse(h).splice(3, 1)],
  ['a reader gets a reset within the epoch', 'a resume point of the same epoch gets no reset', (h) => sse(h).splice(5, 0, sse(h)[3], sse(h)[4])],
  ['a reader gets only the end of the new history', complete, (h) => sse(h).splice(4, 2)],
  ['a reader gets a lost message in the new epoch', same, (h) => (sse(h)[6].text = envelope(3))],
  ['two readers get different messages in one epoch', 'an epoch has one history', (h) => {
    h.deliveries.other = { [room]: sse(h).map((one) => ({ ...one })) };
    h.deliveries.other[room][2].text = envelope(4);
  }],
  ['a second epoch begins', 'only lost commits begin an epoch', (h) => sse(h).splice(3, 0, { reset: true, offset: 0, epoch: 'E0b' })],
]) {
  test(`a violation is reported: ${guarantee}: ${how}`, () => {
    const history = correct();
    violate(history);
    assert.ok(violated(history).includes(guarantee), `${violated(history)}`);
  });
}
