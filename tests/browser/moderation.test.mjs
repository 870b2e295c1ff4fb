// The moderator's view of the demo room, and what Ben sees of it.
import assert from 'node:assert/strict';
import { afterEach } from 'node:test';
import { message, send } from '../integration/http.mjs';
import { until } from '../integration/waiting.mjs';
import { closeCleanly, faintTexts } from './page.mjs';
import { demo, envelopeButton, line, openRoom, roomTest, say, stack, typeMessage, unique, verdict } from './room.mjs';

// The next test begins without rules, roles, restrictions and reports.
afterEach(async () => {
  if (!demo) return;
  const { stream_id: stream, guest } = demo;
  await stack.query('delete from sealcast.report_cases where stream_id = $1', [stream]);
  await stack.query('delete from sealcast.reports where stream_id = $1', [stream]);
  await stack.query('select sealcast.unmute($1, $2), sealcast.unban($1, $2), sealcast.set_role($1, $2, null)', [stream, guest.user_id]);
  await stack.query(`select sealcast.set_stream_rules($1, '{"slow_mode_s": null, "senders": "everyone"}')`, [stream]);
});

const isMuted = async () => {
  const ask = "select 1 from sealcast.restrictions where user_id = $1 and kind = 'mute' and lifted_at is null and until > now() + interval '9 minutes'";
  return (await stack.query(ask, [demo.guest.user_id])).length > 0;
};
const state = (page, pattern) =>
  page.waitForFunction((source) => new RegExp(source).test(document.getElementById('guest-state').textContent), pattern.source);
const sendButton = (page, role) => page.locator(`#${role} .composer button`);
const offsetOf = async (page, text) => Number(await line(page, 'owner', text).getAttribute('data-offset'));

roomTest('a moderator times Ben out: his messages go, he is told, and the moderator can undo it', async () => {
  const [page, other] = [await openRoom(), await openRoom()];
  const texts = [unique('one'), unique('two')];
  for (const text of texts) await say(page, 'guest', text);
  const kept = unique('by Ada');
  await say(page, 'owner', kept);
  await line(page, 'owner', texts[0]).hover();
  await line(page, 'owner', texts[0]).getByRole('button', { name: 'Time out Ben for 10 minutes' }).click();
  await verdict(page, 'owner', /^Ben is timed out until .*Undo$/);
  assert(await isMuted());
  for (const shown of [page, other]) {
    for (const reader of ['owner', 'guest']) for (const text of texts) await line(shown, reader, text).waitFor({ state: 'detached' });
    assert.equal(await line(shown, 'guest', kept).count(), 1);
  }
  await verdict(page, 'guest', /^A moderator deleted \d+ of your messages\.$/);

  // A notice tells him before he tries.
  await state(page, /^You are muted until \d/);
  await page.fill('#guest-content', 'may I?');
  await page.waitForFunction(() => /^Muted, (10:00|9:\d\d)$/.test(document.querySelector('#guest .composer button:disabled').textContent));
  assert.deepEqual(await page.evaluate(faintTexts), []);
  await page.getByRole('button', { name: 'Undo' }).click();
  await verdict(page, 'owner', /^Undone\./);
  assert(!(await isMuted()));
  await page.locator('#guest .composer button:enabled').waitFor();
  await page.press('#guest-content', 'Enter');
  await state(page, /^$/);
  await line(page, 'owner', 'may I?').last().waitFor();
  for (const shown of [page, other]) await closeCleanly(shown);
});

roomTest('all acts on a message are reached by the arrow keys, and a ban needs no mouse', async () => {
  const page = await openRoom();
  const text = unique('by Ben');
  await say(page, 'guest', text);
  await envelopeButton(page, 'owner', text).focus();
  const names = [];
  for (let i = 0; i < 5; i++) {
    names.push(await page.evaluate(() => document.activeElement.ariaLabel));
    if (i < 4) await page.keyboard.press('ArrowRight');
  }
  const about = `message ${await offsetOf(page, text)} by Ben`;
  const timeOut = 'Time out Ben for 10 minutes, and delete what they wrote in the last 10';
  assert.deepEqual(names, [`Envelope of ${about}`, `Pin ${about}`, `Delete ${about}`, timeOut, 'Ban Ben']);
  await page.keyboard.press('Enter');
  await verdict(page, 'owner', /^Ben is banned\. Undo$/);
  await state(page, /^You are banned\.$/);
  assert.equal(await page.locator('#guest .composer button:disabled').textContent(), 'Banned');
  await page.getByRole('button', { name: 'Undo' }).press('Enter');
  await verdict(page, 'owner', /^Undone\./);
  await state(page, /^$/);
  await closeCleanly(page);
});

roomTest('slow mode: every page shows it, Ben waits with a countdown, Ada does not, and its end ends the wait', async () => {
  const [page, other] = [await openRoom(), await openRoom()];
  await page.getByLabel('Slow mode').selectOption('30 s');
  for (const shown of [page, other]) {
    await shown.getByText('Slow mode: one message every 30 s', { exact: true }).first().waitFor();
    await shown.waitForFunction(() => document.querySelector('#guest .rules').textContent === 'Slow mode: one message every 30 s');
    await shown.waitForFunction(() => document.getElementById('slow-mode').value === '30');
  }
  const late = await openRoom();
  await late.waitForFunction(() => document.getElementById('slow-mode').value === '30');
  await say(page, 'guest', unique('my only one'));
  await page.waitForFunction(() => /^Wait ([12]\d|30) s$/.test(document.querySelector('#guest .composer button').textContent));
  assert(await sendButton(page, 'guest').isDisabled());
  await state(page, /^Slow mode: one message every 30 s\.$/);
  for (let i = 0; i < 2; i++) await say(page, 'owner', unique('Ada writes on'));

  // The other page of Ben does not know of the pause. The server tells it.
  const ben = stack.user(demo.guest.user_id);
  await until('the gate knows the slow mode', async () => {
    const answer = await send(stack.url, ben, message(demo.stream_id, 'x'));
    return answer.status === 429 && answer.json.code === 'slow_mode';
  });
  await typeMessage(other, 'guest', 'too early');
  await verdict(other, 'guest', /^429 slow_mode/);
  assert.match(await sendButton(other, 'guest').textContent(), /^Wait \d+ s$/);
  assert.equal(await other.inputValue('#guest-content'), 'too early');
  assert.deepEqual(await other.evaluate(faintTexts), []);

  await page.getByLabel('Slow mode').selectOption('off');
  for (const shown of [page, other]) await shown.waitForFunction(() => document.querySelector('#guest .composer button').textContent === 'Send');
  for (const shown of [page, other, late]) await closeCleanly(shown);
  // Until then, the next test would meet the slow mode.
  await until('the gate knows that the slow mode has ended', async () => {
    const [user, statuses] = [stack.user(), []];
    for (let i = 0; i < 2; i++) statuses.push((await send(stack.url, user, message(demo.stream_id, 'x'))).status);
    return statuses.every((status) => status === 200);
  });
});

roomTest('members only: Ben is kept out until he is a member', async () => {
  const page = await openRoom();
  await page.getByRole('switch', { name: 'Members only' }).press('Space');
  await page.waitForFunction(() => document.querySelector('#guest .rules').textContent === 'Members only');
  const text = unique('let me in');
  await typeMessage(page, 'guest', text);
  await verdict(page, 'guest', /^403 role_required/);
  await state(page, /^Members only: you can read, but not write\.$/);
  await page.getByRole('button', { name: 'Make Ben a member' }).click();
  await verdict(page, 'guest', /^Ben is a member now/);
  await page.press('#guest-content', 'Enter');
  await line(page, 'owner', text).waitFor();
  await state(page, /^$/);
  await page.getByRole('button', { name: 'Remove Ben’s role' }).click();
  await verdict(page, 'guest', /^Ben has no role now/);
  await closeCleanly(page);
});

roomTest('a viewer reports a message, and the moderator deletes or dismisses; nobody closes reports of their own message', async () => {
  const page = await openRoom();
  const { stream_id: stream } = demo;
  const [ofCleo, ofBen, ofAda] = [unique('by Cleo'), unique('by Ben'), unique('by Ada')];
  assert.equal((await send(stack.url, stack.user(demo.viewer.user_id), message(stream, ofCleo))).status, 200);
  await line(page, 'guest', ofCleo).waitFor();
  await say(page, 'guest', ofBen);
  await say(page, 'owner', ofAda);

  const report = async (text, { reason = '', answer }) => {
    await line(page, 'guest', text).hover();
    await line(page, 'guest', text).getByRole('button', { name: /^Report message/ }).click();
    const dialog = page.getByRole('dialog', { name: /^Report a message by/ });
    assert.equal(await dialog.locator('blockquote').textContent(), text);
    await dialog.getByLabel('Harassment').check();
    await dialog.getByLabel('In your words (optional)').fill(reason);
    assert.deepEqual(await page.evaluate(faintTexts), []);
    if (!answer) return page.keyboard.press('Escape');
    await dialog.getByRole('button', { name: 'Report', exact: true }).click();
    await verdict(page, 'guest', answer);
  };
  await report(ofCleo, {});
  await report(ofCleo, { reason: 'rude', answer: /^Reported to the moderators\.$/ });
  await report(ofCleo, { answer: /^You have reported this message before\.$/ });
  await report(ofAda, { answer: /^Reported to the moderators\.$/ });
  await page.getByRole('button', { name: 'Report Ben', exact: true }).click();
  await verdict(page, 'guest', /^Cleo reported the last message of Ben\.$/);
  assert.equal(await line(page, 'guest', ofBen).getByRole('button', { name: /^Report/ }).count(), 0, 'Ben does not report himself');

  await page.getByRole('button', { name: 'Reports' }).click();
  const queue = page.getByRole('dialog', { name: 'Reports' });
  const item = (text) => queue.locator('#reports-list > li', { hasText: text });
  for (const text of [ofCleo, ofBen, ofAda]) await item(text).waitFor();
  assert.match(await item(ofCleo).textContent(), /reported by 1 user.*harassment.*“rude”/);
  assert.equal(await item(ofAda).getByRole('button').count(), 0);
  assert.deepEqual(await page.evaluate(faintTexts), []);
  await item(ofCleo).getByRole('button', { name: /^Dismiss/ }).click();
  await item(ofCleo).waitFor({ state: 'detached' });
  await item(ofBen).getByRole('button', { name: /^Time out and delete/ }).press('Enter');
  await item(ofBen).waitFor({ state: 'detached' });
  assert(await isMuted());
  await page.keyboard.press('Escape');
  await line(page, 'owner', ofBen).waitFor({ state: 'detached' });
  assert.equal(await line(page, 'owner', ofCleo).count(), 1);
  await page.waitForFunction(() => document.getElementById('reports-open').textContent === 'Reports 1');
  const cases = await stack.query('select sender_id, outcome from sealcast.report_cases where stream_id = $1 order by "offset"', [stream]);
  assert.deepEqual(cases.map(({ outcome }) => outcome), ['dismissed', 'acted', null]);
  await closeCleanly(page);
});

roomTest('without the session of a moderator there are no acts of moderators', async () => {
  const page = await openRoom({}, demo, { visitor: true });
  const text = unique('by a visitor');
  await say(page, 'guest', text);
  assert.deepEqual(await line(page, 'owner', text).getByRole('button').allTextContents(), ['Envelope']);
  const queues = [/^Held/, /^Reports/].map((name) => page.getByRole('button', { name }));
  for (const control of [page.getByLabel('Slow mode'), page.getByRole('switch', { name: 'Members only' }), ...queues]) {
    assert(await control.isDisabled());
    assert.match(await control.getAttribute('title'), /^Only Ada can do this/);
  }
  await closeCleanly(page);
});
