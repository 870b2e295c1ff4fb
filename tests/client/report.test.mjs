// report() against a sidecar.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createClient, SealcastError } from '../../client/index.js';
import { PrivateStack } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';

let stack, sidecar;
before(async () => {
  stack = await PrivateStack.create();
  sidecar = await stack.sidecar();
});
after(() => stack?.close());

const clientOf = (user) => createClient({ url: sidecar.url, token: user.token() });

test('report() reports a message once, with a reason and a category', async () => {
  const [room, sender, reporter] = [await stack.stream(), stack.user(), stack.user()];
  await clientOf(sender).sendMessage(room, 'chat', { content: 'x' });
  const client = clientOf(reporter);
  await until('the message has its offset', async () => (await client.messages(room)).last === 1);
  assert.equal(await client.report(room, 1, { reason: 'it is spam', category: 'spam' }), true);
  assert.equal(await client.report(room, 1), false);
  const rows = await stack.query('select reporter_id, reason, category from sealcast.reports where stream_id = $1', [room]);
  assert.deepEqual(rows, [{ reporter_id: reporter.id, reason: 'it is spam', category: 'spam' }]);
});

test('report() rejects with the refusal of the server', async () => {
  const client = clientOf(stack.user());
  await assert.rejects(client.report(await stack.stream(), 7), (error) => {
    assert.ok(error instanceof SealcastError, String(error));
    assert.deepEqual([error.status, error.code, error.retryable], [404, 'message_not_found', false]);
    return true;
  });
});

test('wrong arguments of report() are refused', async () => {
  const client = createClient({ url: 'https://chat.example' });
  for (const [given, message] of [
    [['', 1], /streamId must be a text/],
    [['x', '1'], /offset must be the offset of a message.*not "1"/],
    [['x', 0], /offset must be.*not 0/],
    [['x', 1, { note: 'x' }], /unknown option "note"; the options are reason, category, signal/],
    [['x', 1, { reason: 7 }], /reason must be a text/],
  ]) {
    await assert.rejects(() => client.report(...given), (error) => error instanceof TypeError && message.test(error.message));
  }
});
