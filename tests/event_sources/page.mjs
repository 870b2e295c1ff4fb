// Reads event streams in Chromium: with its own EventSource, with libraries for browsers, and with the examples of the docs.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { follow, recorder } from './recorder.mjs';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const fetchEventSource = 'node_modules/@microsoft/fetch-event-source/lib/esm';

// Returns the blocks of JavaScript in a page of the docs that contain `word`.
export function codeOf(page, word) {
  const blocks = readFileSync(file(`../../${page}`), 'utf8').matchAll(/^```js\n(.*?)^```$/gms);
  return [...blocks].map(([, code]) => code).filter((code) => code.includes(word));
}

// Opens readers of `path` on a page of `origin`. The names of the readers are those of `records()`.
export async function openReaders(browser, origin, path) {
  const page = await (await browser.newContext()).newPage();
  await page.route('**/fetch-event-source/*', (route) => {
    const name = basename(new URL(route.request().url()).pathname, '.js');
    return route.fulfill({ contentType: 'text/javascript', path: file(`${fetchEventSource}/${name}.js`) });
  });
  await page.goto(`${origin}/openapi.json`);
  await page.addScriptTag({ content: `${recorder}\n${follow}\nglobalThis.records = {};` });
  await page.addScriptTag({ path: file('node_modules/event-source-polyfill/src/eventsource.js') });
  await page.evaluate(async (url) => {
    const { fetchEventSource: read } = await import('/fetch-event-source/index.js');
    const { follow, recorder, records, EventSourcePolyfill } = globalThis;
    for (const name of ['Chromium', 'event-source-polyfill', '@microsoft/fetch-event-source']) records[name] = recorder();
    follow(records.Chromium, url, EventSource);
    follow(records['event-source-polyfill'], url, EventSourcePolyfill);
    const record = records['@microsoft/fetch-event-source'];
    record.made = 1;
    read(url, {
      openWhenHidden: true,
      onmessage: ({ event, data, id }) => record.take(event || 'message', data, id),
      onclose() {
        throw new Error('connect again');
      },
      onerror: () => 100,
    });
  }, path);
  return {
    records: () => page.evaluate(() => JSON.parse(JSON.stringify(globalThis.records))),
    close: () => page.context().close(),
  };
}

// Runs code of the docs in a page of `origin`, which sees `globals`. The code calls show() or console.log() with what it reads.
export async function runExample(browser, origin, code, globals) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${origin}/openapi.json`);
  await page.evaluate((names) => Object.assign(globalThis, names, { shown: [] }), globals);
  await page.evaluate(() => {
    globalThis.show = ({ d }) => globalThis.shown.push(d.content);
    globalThis.clear = () => globalThis.shown.splice(0);
    console.log = (offset, sender, content) => globalThis.shown.push(content);
  });
  await page.addScriptTag({ content: code });
  return {
    shown: () => page.evaluate(() => globalThis.shown),
    close: () => page.context().close(),
  };
}
