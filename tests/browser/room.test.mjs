// A real browser: the demo room, and a bare page that has nothing but an EventSource.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { checkEnvelope } from '../integration/envelope.mjs';
import { message, send } from '../integration/http.mjs';
import { sharedStack } from '../integration/stack.mjs';

let stack, browser;
before(async () => {
  stack = await sharedStack();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
});
after(async () => {
  await browser?.close();
  await stack.close();
});

// A page of the demo's own origin, of which every complaint fails the test.
async function openPage(path) {
  const page = await (await browser.newContext()).newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
  await page.goto(stack.url + path);
  return { page, complaints };
}

test('a bare EventSource receives messages, with their offsets as ids', async () => {
  const room = await stack.stream();
  const { page } = await openPage('/healthz');
  await page.evaluate(
    (path) =>
      new Promise((opened) => {
        globalThis.received = [];
        const source = new EventSource(path);
        source.onopen = opened;
        source.onmessage = ({ data, lastEventId }) => globalThis.received.push({ data, lastEventId });
      }),
    `/streams/${room}/events`,
  );
  const texts = [];
  for (const content of ['hello', 'two\nlines and ünïcödé 😀']) {
    const answer = await send(stack.url, stack.user(), message(room, content));
    assert.equal(answer.status, 200, answer.text);
    texts.push(answer.text);
  }
  await page.waitForFunction(() => globalThis.received.length === 2);
  const received = await page.evaluate(() => globalThis.received);
  for (const [i, { data, lastEventId }] of received.entries()) {
    assert.equal(lastEventId, String(i + 1));
    assert.equal(data, `{"offset":${i + 1},"prev":${i},"envelope":${texts[i]}}`);
    checkEnvelope(texts[i], stack.keyring);
  }
  await page.context().close();
});

test('the demo room: what one page sends, another receives over its EventSource, sealed', async (t) => {
  if ((await fetch(`${stack.url}/`)).status === 404) return t.skip('this stack serves no demo');
  const [one, two] = [await openPage('/'), await openPage('/')];
  for (const { page } of [one, two]) await page.waitForSelector('#connection[data-state=live]');
  const text = `from a browser, ${Date.now()} <b>not bold</b> 😀`;
  await one.page.fill('#content', text);
  await one.page.click('#send');
  for (const { page } of [one, two]) {
    const item = page.locator('#messages li', { hasText: text });
    await item.waitFor();
    assert.equal(await item.locator('p').textContent(), text);
  }
  assert.equal(await one.page.inputValue('#content'), '');

  await two.page.locator('#messages li', { hasText: text }).locator('button').click();
  await two.page.waitForSelector('#result[data-result=ok]');
  checkEnvelope(envelopeText(await two.page.textContent('#envelope')), stack.keyring);
  for (const { complaints, page } of [one, two]) {
    assert.deepEqual(complaints, []);
    await page.context().close();
  }
});

// What the page shows indented, as it came: members keep their order, and their text has no other form.
const envelopeText = (shown) => JSON.stringify(JSON.parse(shown));

test('the demo room shows what refused a message', async (t) => {
  if ((await fetch(`${stack.url}/`)).status === 404) return t.skip('this stack serves no demo');
  const { page } = await openPage('/');
  await page.waitForSelector('#connection[data-state=live]');
  const { stream_id, user_id } = await page.evaluate(async () => (await fetch('demo.json')).json());
  await stack.query("select sealcast.mute($1, $2, now() + interval '1 hour')", [stream_id, user_id]);
  try {
    await page.fill('#content', 'muted');
    await page.click('#send');
    await page.waitForFunction(() => document.querySelector('#verdict').textContent.includes('user_muted'));
    assert.equal(await page.inputValue('#content'), 'muted', 'the text is kept');
  } finally {
    await stack.query('select sealcast.unmute($1, $2)', [stream_id, user_id]);
  }
  await page.context().close();
});
