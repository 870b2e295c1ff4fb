// Opens the demo room for the tests, as its owner or as a visitor, and finds things in it.
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { sharedStack } from '../integration/stack.mjs';
import { launch, newPage } from './page.mjs';

export let stack, browser, demo;
before(async () => {
  stack = await sharedStack();
  browser = await launch();
  const answer = await fetch(`${stack.url}/demo.json`);
  demo = answer.ok ? await answer.json() : null;
});
after(async () => {
  await browser?.close();
  await stack.close();
});

// A test of the demo room. It is skipped when the stack serves none.
export function roomTest(name, body) {
  test(name, (t) => (demo ? body(t) : t.skip('this stack serves no demo')));
}

// Opens the room as its owner does, or as a visitor, without the owner's session.
export async function openRoom(options = {}, session = demo, { visitor = false } = {}) {
  const page = await newPage(browser, options);
  if (session !== demo) await page.route('**/demo.json', (route) => route.fulfill({ json: session }));
  await page.goto(visitor ? stack.url : `${stack.url}/#owner=${process.env.DEMO_TOKEN}`);
  await page.waitForSelector('#connection[data-state=live]');
  return page;
}

export const unique = (text) => `${text}, ${randomUUID()}`;
export const line = (page, role, text) => page.locator(`#${role} .messages li`, { hasText: text });

export const envelopeButton = (page, role, text) => line(page, role, text).getByRole('button', { name: /^Envelope of/ });
export const deleteButton = (page, role, text) => line(page, role, text).getByRole('button', { name: /^Delete message/ });

export async function typeMessage(page, role, text) {
  await page.fill(`#${role}-content`, text);
  await page.press(`#${role}-content`, 'Enter');
}

// Writes a message, and waits until both panes show it.
export async function say(page, role, text) {
  await typeMessage(page, role, text);
  for (const reader of ['owner', 'guest']) await line(page, reader, text).waitFor();
}

export const verdict = async (page, role, pattern) => {
  await page.waitForFunction(
    ([id, source]) => new RegExp(source).test(document.getElementById(id).textContent),
    [`${role}-verdict`, pattern.source],
  );
};
