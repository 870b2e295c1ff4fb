// The queue of held messages in the demo room, and what the sender is told.
import assert from 'node:assert/strict';
import { afterEach } from 'node:test';
import { message, send } from '../integration/http.mjs';
import { closeCleanly, faintTexts } from './page.mjs';
import { demo, line, openRoom, roomTest, say, stack, typeMessage, unique, verdict } from './room.mjs';

// The next test begins with nothing that waits, and nothing that makes messages wait.
afterEach(async () => {
  if (!demo) return;
  const { stream_id: stream, guest } = demo;
  await stack.query('select sealcast.remove_blocked_term(term_id) from sealcast.blocked_terms where stream_id = $1', [stream]);
  await stack.query('select sealcast.deny_message(held_id) from sealcast.held_messages where stream_id = $1 and outcome is null', [stream]);
  await stack.query(`select sealcast.set_stream_rules($1, '{"hold_first": false}')`, [stream]);
  await stack.query('select sealcast.unmute($1, $2)', [stream, guest.user_id]);
});

const queueOf = (page) => page.getByRole('dialog', { name: 'Held messages' });
const item = (page, text) => queueOf(page).locator('#held-list > li', { hasText: text });
const heldButton = (page, count) => page.getByRole('button', { name: `Held ${count}`, exact: true });
const told = (page, pattern) =>
  page.waitForFunction((source) => new RegExp(source).test(document.getElementById('guest-review').textContent), pattern.source);

async function openQueue(page) {
  await page.getByRole('button', { name: /^Held/ }).click();
  await queueOf(page).waitFor();
}

async function holdWord(page, word) {
  await openQueue(page);
  await queueOf(page).getByLabel('Messages with one of these words').fill(word);
  await page.keyboard.press('Enter');
  await queueOf(page).getByRole('button', { name: `Do not hold “${word}”` }).waitFor();
}

roomTest('a moderator holds messages with a word, denies one with a reason and approves another, and Ben is told on each page', async () => {
  const [page, other] = [await openRoom(), await openRoom()];
  await holdWord(page, 'raffle');
  await page.keyboard.press('Escape');
  const [denied, approved] = [unique('raffle one'), unique('raffle two')];
  await typeMessage(page, 'guest', denied);
  await told(page, /^Your message “raffle one.*” waits for review\.$/);
  assert.equal(await page.inputValue('#guest-content'), '');
  await heldButton(page, 1).waitFor(); // at once, since this page has sent it
  await typeMessage(other, 'guest', approved);
  await told(other, /^Your message “raffle two.*” waits for review\.$/);
  assert.deepEqual(await page.evaluate(faintTexts), []);
  await heldButton(page, 2).waitFor(); // the page asks from time to time

  await openQueue(page);
  for (const text of [denied, approved]) assert.match(await item(page, text).textContent(), /^Ben · waits since .* · 2 days 23 hours left.*has the word “raffle”/);
  assert.deepEqual(await page.evaluate(faintTexts), []);
  await item(page, denied).getByRole('textbox', { name: /^Reason for denying/ }).fill('no raffles here');
  await item(page, denied).getByRole('button', { name: /^Deny/ }).press('Enter');
  await item(page, denied).waitFor({ state: 'detached' });
  await page.waitForFunction(() => /^Approve: “raffle two/.test(document.activeElement.ariaLabel));
  await page.keyboard.press('Enter');
  await item(page, approved).waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement.id === 'held-close');
  assert.match(await page.textContent('#held-status'), /^Approved: “raffle two.*” by Ben\.$/);
  await page.keyboard.press('Escape');

  for (const shown of [page, other]) {
    for (const reader of ['owner', 'guest']) {
      await line(shown, reader, approved).waitFor();
      assert.equal(await line(shown, reader, denied).count(), 0);
    }
  }
  await told(other, /^Your message “raffle two.*” was approved\.$/);
  await told(page, /^Your message “raffle one.*” was not accepted: no raffles here\.$/);
  for (const shown of [page, other]) assert.deepEqual(await shown.evaluate(faintTexts), []);

  await openQueue(page);
  await queueOf(page).getByRole('button', { name: 'Do not hold “raffle”' }).press('Enter');
  await queueOf(page).getByRole('button', { name: 'Do not hold “raffle”' }).waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await say(page, 'guest', unique('raffle three'));
  await told(page, /^$/);
  for (const shown of [page, other]) await closeCleanly(shown);
});

roomTest('what is typed and the focus stay when the queue gets another message', async () => {
  const page = await openRoom();
  await holdWord(page, 'raffle');
  await page.keyboard.press('Escape');
  const [first, second] = [unique('raffle one'), unique('raffle two')];
  await typeMessage(page, 'guest', first);
  await openQueue(page);
  const reason = item(page, first).getByRole('textbox', { name: /^Reason for denying/ });
  await reason.fill('half a sen');
  assert.equal((await send(stack.url, stack.user(demo.guest.user_id), message(demo.stream_id, second))).status, 202);
  await item(page, second).waitFor();
  await page.keyboard.type('tence');
  assert.equal(await reason.inputValue(), 'half a sentence');
  await closeCleanly(page);
});

roomTest('a message of a muted user cannot be approved: the queue says why, and it waits on', async () => {
  const page = await openRoom();
  await page.getByRole('button', { name: 'Write a held word' }).click();
  await verdict(page, 'guest', /^202 held This message waits for a moderator\.$/);
  await told(page, /^Your message “Join my giveaway, it is free” waits for review\.$/);
  await stack.query("select sealcast.mute($1, $2, now() + interval '1 hour')", [demo.stream_id, demo.guest.user_id]);
  await openQueue(page);
  await item(page, 'giveaway').getByRole('button', { name: /^Approve/ }).click();
  await page.waitForFunction(() => /^409 not_admissible .*user_muted/.test(document.getElementById('held-status').textContent));
  await stack.query('select sealcast.unmute($1, $2)', [demo.stream_id, demo.guest.user_id]);
  await item(page, 'giveaway').getByRole('button', { name: /^Approve/ }).click();
  await item(page, 'giveaway').waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await told(page, /was approved\.$/);
  await closeCleanly(page);
});

roomTest('the first messages of a new user wait until one is approved, and every page shows the rule', async () => {
  const [page, other] = [await openRoom(), await openRoom()];
  await openQueue(page);
  await queueOf(page).getByRole('switch').press('Space');
  for (const shown of [page, other]) {
    await shown.waitForFunction(() => document.querySelector('#guest .rules').textContent === 'First messages wait for review');
    await shown.waitForFunction(() => document.getElementById('hold-first').checked);
  }
  const [newcomer, text] = [stack.user(), unique('hello, I am new')];
  assert.equal((await send(stack.url, newcomer, message(demo.stream_id, text))).status, 202);
  await item(page, text).waitFor();
  assert.match(await item(page, text).textContent(), new RegExp(`the first message of User ${newcomer.id.slice(-4)}`));
  await item(page, text).getByRole('button', { name: /^Approve/ }).click();
  await item(page, text).waitFor({ state: 'detached' });
  await line(other, 'guest', text).waitFor();
  assert.equal((await send(stack.url, newcomer, message(demo.stream_id, unique('my second')))).status, 200);
  for (const shown of [page, other]) await closeCleanly(shown);
});

for (const colorScheme of ['light', 'dark']) {
  roomTest(`${colorScheme}, 320 px: the queue cuts nothing off, and every text has enough contrast`, async () => {
    const page = await openRoom({ colorScheme, viewport: { width: 320, height: 640 } });
    const long = 'x'.repeat(45);
    await holdWord(page, long);
    await page.keyboard.press('Escape');
    await typeMessage(page, 'guest', `${long} ${'y'.repeat(300)}`);
    await told(page, /waits for review\.$/);
    const cut = (element) => page.$eval(element, ({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
    assert.equal(await cut('html'), 0);
    assert.deepEqual(await page.evaluate(faintTexts), []);
    await openQueue(page);
    await item(page, long).waitFor();
    for (const element of ['html', '#held', '#held-list']) assert.equal(await cut(element), 0, element);
    assert.deepEqual(await page.evaluate(faintTexts), []);
    await closeCleanly(page);
  });
}
