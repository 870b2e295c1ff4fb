// The pinned message of the demo room.
import assert from 'node:assert/strict';
import { afterEach } from 'node:test';
import { closeCleanly, faintTexts } from './page.mjs';
import { deleteButton, demo, envelopeButton, line, openRoom, roomTest, say, stack, unique, verdict } from './room.mjs';

afterEach(() => demo && stack.query('select sealcast.unpin_message($1)', [demo.stream_id]));

const pinned = (page, role) => page.locator(`#${role} .pinned`).getByRole('complementary', { name: 'Pinned message' });
const unpinButton = (page, role) => pinned(page, role).getByRole('button', { name: 'Unpin the message by Ben' });

// Waits until both panes of the pages show this pinned message; null: none.
async function shows(pages, text) {
  for (const page of pages) {
    for (const role of ['owner', 'guest']) {
      if (text === null) await pinned(page, role).waitFor({ state: 'detached' });
      else await pinned(page, role).filter({ hasText: text }).waitFor();
    }
  }
}

roomTest('a moderator pins a message for all, also for late joiners, and unpins it', async () => {
  const [page, other] = [await openRoom(), await openRoom()];
  const [first, second] = [unique('the first'), unique('the second')];
  for (const text of [first, second]) await say(page, 'guest', text);
  await line(page, 'owner', first).hover();
  await line(page, 'owner', first).getByRole('button', { name: /^Pin message \d+ by Ben$/ }).click();
  await verdict(page, 'owner', /^Pinned for everybody\.$/);
  await shows([page, other], first);
  assert.match(await pinned(other, 'guest').textContent(), /^Ben · pinned by Ada/);
  assert.equal(await unpinButton(page, 'guest').count(), 0);
  assert.equal(await line(page, 'guest', first).getByRole('button', { name: /^Pin/ }).count(), 0);
  assert.deepEqual(await page.evaluate(faintTexts), []);
  const late = await openRoom();
  await shows([late], first);
  await line(page, 'owner', first).hover();
  await line(page, 'owner', first).getByRole('button', { name: /^Pin message/ }).click();
  await verdict(page, 'owner', /^This message is pinned already\.$/);

  await envelopeButton(page, 'owner', second).focus();
  for (const key of ['ArrowRight', 'Enter']) await page.keyboard.press(key);
  await shows([page, other, late], second);

  await unpinButton(late, 'owner').press('Enter');
  await shows([page, other, late], null);
  assert.equal(await late.evaluate(() => document.activeElement.ariaLabel), 'Messages that Ada reads', 'the focus is not lost');
  const later = await openRoom();
  await later.getByText('Ada unpinned the message').first().waitFor();
  await shows([later], null);
  for (const shown of [page, other, late, later]) await closeCleanly(shown);
});

roomTest('a long pinned message is not cut off at its side, and leaves room for the others', async () => {
  const page = await openRoom({ viewport: { width: 320, height: 640 } });
  const text = unique(`a word as long as ${'x'.repeat(300)}`);
  await say(page, 'guest', text);
  await line(page, 'owner', text).getByRole('button', { name: /^Pin message/ }).press('Enter');
  await shows([page], text);
  assert.equal(await page.$eval('html', ({ scrollWidth, clientWidth }) => scrollWidth - clientWidth), 0);
  assert((await pinned(page, 'owner').boundingBox()).height < 100);
  assert.deepEqual(await page.evaluate(faintTexts), []);
  await closeCleanly(page);
});

roomTest('a deleted message is not pinned any more, and a visitor cannot unpin', async () => {
  const page = await openRoom();
  const text = unique('pinned and deleted');
  await say(page, 'guest', text);
  await line(page, 'owner', text).hover();
  await line(page, 'owner', text).getByRole('button', { name: /^Pin message/ }).click();
  const visitor = await openRoom({}, demo, { visitor: true });
  await shows([page, visitor], text);
  assert.equal(await pinned(visitor, 'owner').getByRole('button').count(), 0);
  await deleteButton(page, 'owner', text).click();
  await shows([page, visitor], null);
  for (const shown of [page, visitor]) await closeCleanly(shown);
});
