// A real page in Chromium, with answers that the test chooses: it wakes when it is online or shown again, and says that CORS
// may be why a server cannot be reached.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { until, within } from '../integration/waiting.mjs';
import { EVENTS_TYPE, seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { launch, serve } from './site.mjs';

const CORS = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'authorization, content-type, last-event-id' };
const OVERLOADED = { code: 'overloaded', message: 'm', details: null, hint: null };

let site, browser;
before(async () => {
  site = await serve();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  site?.server.close();
});

async function openPage() {
  const page = await (await browser.newContext()).newPage();
  await page.goto(site.origin);
  return page;
}

const WAKES = {
  'the device is online again': async (page) => {
    await page.context().setOffline(true);
    await page.context().setOffline(false);
  },
  'the page is shown again': (page) => page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))),
  'the page becomes visible': (page) => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))),
};

for (const [what, wake] of Object.entries(WAKES)) {
  test(`when ${what}, its message and its subscription do not wait any longer`, async () => {
    let down = true;
    const { url, requests } = await serveAnswers((request, response, body) => {
      if (request.method === 'OPTIONS') return response.writeHead(204, CORS).end();
      if (down) return sendJson(response, OVERLOADED, 503, CORS);
      if (request.method === 'POST') return sendJson(response, seal(body), 200, CORS);
      response.writeHead(200, { ...EVENTS_TYPE, ...CORS }).write('id: e1:7\n\n');
    });
    const page = await openPage();
    const begin = async ([address, room]) => {
      const { createClient } = await import('/client/index.js');
      const long = { spreadMs: 1e9 };
      const client = createClient({ url: address, token: 'x', retry: long });
      globalThis.statuses = [];
      const onStatus = (status) => globalThis.statuses.push(status);
      const { ready } = client.subscribeStreamEvents(room, () => {}, { reconnect: long, onStatus });
      globalThis.done = Promise.all([ready, client.sendMessage(room, 'chat', {}, { giveUpAfterMs: Infinity })]);
    };
    await page.evaluate(begin, [url, randomUUID()]);
    await until('both have failed once', () => ['GET', 'POST'].every((method) => requests.some((each) => each.method === method)));
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
    down = false;
    await wake(page);
    await within('both succeed', page.evaluate(() => globalThis.done.then(() => null)), 5000);
    await page.context().close();
  });
}

test('an error of a page names the address, and CORS when the server does not allow the origin of the page', async () => {
  const { url } = await serveAnswers((_, response) => sendJson(response, { messages: [], first: 1, last: 0 }));
  const page = await openPage();
  const call = async ([address, room]) => {
    const { createClient } = await import('/client/index.js');
    return createClient({ url: address }).messages(room).catch(({ code, message }) => [code, message]);
  };
  assert.deepEqual(await page.evaluate(call, [url, randomUUID()]), [
    'unreachable',
    `the server at ${url} cannot be reached, or it does not allow the origin ${site.origin} of this page (CORS, http.cors_origins)`,
  ]);
  await page.context().close();
});
