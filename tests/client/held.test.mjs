// sendMessage() of a message that waits for a moderator.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createClient } from '../../client/index.js';
import { sealed } from './redaction_model.mjs';
import { sendJson, serveAnswers } from './foreign_server.mjs';

const room = randomUUID();
const held = (txnId, replayed = false) => ({ held: true, code: 'held', message: 'this message waits for a moderator', txn_id: txnId, replayed });

test('sendMessage() resolves with the answer that the message is held, and a repeat with its envelope', async () => {
  const mine = sealed(room);
  const answers = [[202, held(mine.txn_id)], [202, held(mine.txn_id, true)], [200, mine]];
  let requests = 0;
  const { url } = await serveAnswers((_, response) => {
    const [status, answer] = answers[requests++];
    sendJson(response, answer, status);
  });
  const client = createClient({ url, token: 'x' });
  for (const [, answer] of answers) {
    assert.deepEqual(await client.sendMessage(room, 'chat', mine.d, { txnId: mine.txn_id }), answer);
  }
  assert.equal(requests, answers.length, 'a held message is not sent again by itself');
});

test('sendMessage() rejects a denied message, and an answer that is not the server\'s', async () => {
  let answer = [403, { code: 'held_denied', message: 'm', details: 'off topic', hint: 'h' }];
  const { url } = await serveAnswers((_, response) => sendJson(response, answer[1], answer[0]));
  const client = createClient({ url, token: 'x' });
  await assert.rejects(client.sendMessage(room, 'chat', {}), { code: 'held_denied', status: 403, details: 'off topic', retryable: false });
  for (const other of [{ held: true }, { ...held('x'), code: 'other' }, { ...held(''), txn_id: '' }, { ...held('x'), held: 'yes' }]) {
    answer = [202, other];
    await assert.rejects(client.sendMessage(room, 'chat', {}), { code: 'unexpected_answer' });
  }
});
