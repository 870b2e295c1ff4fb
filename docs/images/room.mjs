// Takes docs/images/room.png: opens the demo room of a running stack in Chromium, sends messages, pins one and moves the readers.
//
//   make up && . .local/env && npm ci && node docs/images/room.mjs "$SEALCAST_URL/#owner=$DEMO_TOKEN"
//
// Use a new stack, since the picture shows what the room already has.
import { chromium } from 'playwright-core';

const [url] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
});
const context = await browser.newContext({
  viewport: { width: 1120, height: 760 },
  deviceScaleFactor: 1.45,
  colorScheme: 'light',
  locale: 'en-GB',
});
const page = await context.newPage();
await page.goto(url);
await page.waitForSelector('#connection[data-state=live]');

const say = async (pane, text) => {
  await page.fill(`#${pane}-content`, text);
  await page.press(`#${pane}-content`, 'Enter');
  for (const reader of ['owner', 'guest']) {
    await page.locator(`#${reader} .messages li`, { hasText: text }).first().waitFor();
  }
};
await say('owner', 'Welcome! The match begins in five minutes.');
const welcome = page.locator('#owner .messages li', { hasText: 'Welcome!' });
await welcome.hover();
await welcome.getByRole('button', { name: /^Pin/ }).click();
await page.locator('#guest .pinned aside').waitFor();
await say('guest', 'Which camera is this?');
await say('owner', 'Camera 2, behind the goal.');
await page.click('#migrate');
await page.waitForFunction(() => document.querySelector('#transport').textContent === 'MQTT');
await say('guest', 'Now I read over MQTT, and I missed nothing.');
await say('owner', 'Each message is signed: open its envelope.');
await page.waitForFunction(() => document.querySelector('#viewers').textContent === '2', null, { timeout: 60_000 });
await page.evaluate(() => {
  document.activeElement.blur();
  for (const list of document.querySelectorAll('.messages')) list.scrollTop = list.scrollHeight;
});
await page.screenshot({ path: new URL('room.png', import.meta.url).pathname });
await browser.close();
