// Opens pages in a real browser and records their errors.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

export async function launch() {
  return chromium.launch({
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
}

// `page.problems` records errors and failed loads, `page.origins` the origins of all requests. A refused POST request is not
// recorded: the page shows it to the user. Nor is a 429 or 503: the page repeats the request.
export async function newPage(browser, options) {
  const page = await (await browser.newContext(options)).newPage();
  page.problems = [];
  page.origins = new Set();
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (line) => {
    const status = line.text().startsWith('Failed to load resource: the server responded with a status of');
    if (line.type() === 'error' && !status) page.problems.push(line.text());
  });
  page.on('response', (response) => {
    const method = response.request().method();
    if (method === 'GET' && response.status() >= 400 && ![429, 503].includes(response.status())) page.problems.push(`${response.status()} ${response.url()}`);
  });
  page.on('request', (request) => page.origins.add(new URL(request.url()).origin));
  page.on('websocket', (socket) => page.origins.add(new URL(socket.url()).origin));
  return page;
}

export async function closeCleanly(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

// Runs in the page. Returns the texts whose contrast with their background is under 4.5:1
// (https://www.w3.org/TR/WCAG22/#contrast-minimum).
export function faintTexts() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = channels(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  for (const element of document.body.querySelectorAll('*')) {
    const text = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!text || !element.checkVisibility() || element.tagName === 'NOSCRIPT') continue;
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(background(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${element.tagName} "${element.textContent.slice(0, 30)}" ${contrast.toFixed(2)}`);
  }
  return faint;
}
