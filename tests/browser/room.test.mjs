// The demo room in a real browser, and a page that has only an EventSource.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import mqttjs from 'mqtt';
import { createClient } from '../../client/index.js';
import { writeAsSystem } from '../client/stream.mjs';
import { checkEnvelope } from '../integration/envelope.mjs';
import { message, send } from '../integration/http.mjs';
import { until } from '../integration/waiting.mjs';
import { closeCleanly, faintTexts, newPage } from './page.mjs';
import {
  browser, deleteButton, demo, envelopeButton, line, openRoom, roomTest, stack, typeMessage, unique, verdict,
} from './room.mjs';

const offsets = (page, role) =>
  page.$$eval(`#${role} .messages li`, (lines) => lines.map(({ dataset }) => Number(dataset.offset)));

test('a plain EventSource receives messages, with their offsets as ids', async () => {
  const room = await stack.stream();
  const page = await newPage(browser);
  await page.goto(`${stack.url}/healthz`);
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
    assert.match(lastEventId, new RegExp(`^[0-9a-z]+:${i + 1}$`));
    assert.equal(data, `{"offset":${i + 1},"prev":${i},"envelope":${texts[i]}}`);
    checkEnvelope(texts[i], stack.keyring);
  }
  await page.context().close();
});

roomTest('the broker user that the demo room shows to everybody reads the demo stream alone', async (t) => {
  if (!demo.broker) return t.skip('this stack has no broker');
  const { url, username, password } = demo.broker;
  const client = await mqttjs.connectAsync(url, { username, password, protocolVersion: 5 });
  t.after(() => client.endAsync());
  const received = [];
  client.on('message', (topic, payload) => received.push(`${topic} ${payload}`));
  await client.subscribeAsync('#');
  // The broker lets a client subscribe to any topic, and delivers what the client may read.
  const publisher = await mqttjs.connectAsync(process.env.MQTT_URL, { protocolVersion: 5 });
  t.after(() => publisher.endAsync());
  const demoTopic = `sealcast/${demo.stream_id}`;
  for (const topic of [`sealcast/${randomUUID()}`, `${demoTopic}/vip`, 'sealcast', demoTopic]) await publisher.publishAsync(topic, 'test', { qos: 1 });
  await until('the message of the demo stream is there', () => received.includes(`${demoTopic} test`));
  assert.deepEqual(received.filter((text) => !text.startsWith(`${demoTopic} `)), []);
});

roomTest('both users read a message as it was written, on another page too', async () => {
  const [one, two] = [await openRoom(), await openRoom()];
  for (const role of ['owner', 'guest']) {
    const text = unique(`by the ${role} <b>not bold</b> 😀`);
    await typeMessage(one, role, text);
    for (const page of [one, two]) {
      for (const reader of ['owner', 'guest']) {
        await line(page, reader, text).waitFor();
        assert.equal(await line(page, reader, text).locator('p').textContent(), text);
        assert.equal(await line(page, reader, text).getAttribute('class'), reader === role ? 'mine' : 'other');
        assert.equal(await line(page, reader, text).locator('b').textContent(), demo[role].name);
      }
    }
    await one.waitForFunction((id) => document.getElementById(id).value === '', `${role}-content`);
  }
  for (const page of [one, two]) await closeCleanly(page);
});

roomTest('the panel shows the sealed envelope, and that a changed one does not verify', async () => {
  const page = await openRoom();
  const text = unique('sealed');
  await typeMessage(page, 'guest', text);
  await envelopeButton(page, 'owner', text).press('Enter');
  await page.waitForSelector('#result[data-result=ok]');
  // The panel indents the JSON, but keeps the order and the text of the members.
  const { d } = checkEnvelope(JSON.stringify(JSON.parse(await page.textContent('#envelope'))), stack.keyring);
  assert.equal(d.content, text);

  await page.click('#tamper');
  await page.waitForSelector('#result[data-result=bad_signature]');
  assert.match(await page.textContent('#envelope mark'), /Sealed, /);
  await page.click('#tamper');
  await page.waitForSelector('#result[data-result=ok]');
  await page.keyboard.press('Escape');
  const focused = await page.evaluate(() => document.activeElement.textContent);
  assert.equal(focused, 'Envelope', 'the focus returns to the button');
  await closeCleanly(page);
});

roomTest('a visitor gets no session of the owner, and can use the session of an ordinary user', async () => {
  assert.deepEqual(Object.keys(demo.owner), ['name', 'user_id']);
  const files = ['demo.json', 'index.html', 'room.js', 'session.js'].map(async (name) => (await fetch(`${stack.url}/${name}`)).text());
  assert(!(await Promise.all(files)).join().includes(process.env.DEMO_TOKEN));
  const { sub } = JSON.parse(Buffer.from(demo.guest.token.split('.')[1], 'base64url'));
  assert.equal(sub, demo.guest.user_id);
  assert.deepEqual(await stack.query('select from sealcast.stream_roles where user_id = $1', [sub]), []);

  const page = await openRoom({}, demo, { visitor: true });
  const text = unique('by a visitor');
  await typeMessage(page, 'guest', text);
  for (const reader of ['owner', 'guest']) await line(page, reader, text).waitFor();
  const disabled = await page.$$eval(':disabled:not(option)', (controls) => controls.map(({ id, dataset, textContent }) => id || dataset.trial || textContent));
  assert.deepEqual(disabled, ['migrate', 'slow-mode', 'members-only', 'held-open', 'reports-open', 'owner-content', 'Send', 'mute', 'ban', 'lift', 'member', 'held', 'hold-first']);
  assert.match(await page.textContent('#for-operators'), /Only the operator/);
  assert.deepEqual(await page.evaluate(faintTexts), []);
  await closeCleanly(page);
  const owners = await openRoom();
  assert(await owners.isHidden('#for-operators'));
  await closeCleanly(owners);
});

roomTest('the owner deletes any message, a guest only their own, by mouse or by key, and everybody sees that it is deleted', async () => {
  const [page, other] = [await openRoom(), await openRoom()];
  const texts = { guest: unique('by the guest'), owner: unique('by the owner') };
  for (const role of ['guest', 'owner']) await typeMessage(page, role, texts[role]);
  for (const reader of ['owner', 'guest']) for (const text of Object.values(texts)) await line(other, reader, text).waitFor();
  assert.equal(await deleteButton(page, 'guest', texts.owner).count(), 0);
  assert.equal(await deleteButton(page, 'guest', texts.guest).count(), 1);

  const deletedBefore = await other.locator('#guest .deleted').count();
  await deleteButton(page, 'owner', texts.guest).click();
  await envelopeButton(page, 'owner', texts.owner).press('Delete');
  for (const shown of [page, other]) {
    for (const reader of ['owner', 'guest']) {
      for (const text of Object.values(texts)) await line(shown, reader, text).waitFor({ state: 'detached' });
      const deleted = shown.locator(`#${reader} .deleted`);
      const lines = shown.locator(`#${reader} li`, { has: shown.locator('.deleted') });
      assert.equal(await deleted.count(), deletedBefore + 2);
      assert.equal(await deleted.last().textContent(), 'Message deleted');
      assert.equal(await lines.getByRole('button', { name: /^Delete/ }).count(), 0);
      await lines.last().getByRole('button', { name: /^Envelope of/ }).click();
      await shown.waitForSelector('#result[data-result=redacted]');
      assert.match(await shown.textContent('#envelope'), /"d": null,\s+"payload_hash": "/);
      await shown.click('#tamper');
      await shown.waitForSelector('#result[data-result=bad_signature]');
      await shown.keyboard.press('Escape');
    }
    assert.deepEqual(await shown.evaluate(faintTexts), []);
    await closeCleanly(shown);
  }
});

roomTest('a refusal is shown, and the text stays in the input', async () => {
  const page = await openRoom();
  await stack.query('update sealcast.streams set closed_at = now() where stream_id = $1', [demo.stream_id]);
  try {
    await typeMessage(page, 'owner', 'too late');
    await verdict(page, 'owner', /403 stream_closed /);
    assert.equal(await page.inputValue('#owner-content'), 'too late');
  } finally {
    await stack.query('update sealcast.streams set closed_at = null where stream_id = $1', [demo.stream_id]);
  }
  await closeCleanly(page);
});

roomTest('the buttons mute and ban until the restriction is lifted, and a flood meets the rate limit', async (t) => {
  const guest = [demo.stream_id, demo.guest.user_id];
  t.after(() => stack.query('select sealcast.unmute($1, $2), sealcast.unban($1, $2)', guest));
  const page = await openRoom();
  const attempt = (name) => page.getByRole('group').getByRole('button', { name, exact: true }).click();
  for (const [name, code] of [['Mute Ben 1 min', 'user_muted'], ['Ban Ben', 'user_banned']]) {
    await attempt(name);
    await verdict(page, 'guest', new RegExp(`^403 ${code} You are .`));
    await page.locator('#guest .composer button:disabled').waitFor();
    await attempt('Lift both');
    await verdict(page, 'guest', /^200 Sealed/);
    await line(page, 'owner', 'I can write again').last().waitFor();
    await page.locator('#guest .composer button:enabled').waitFor();
  }
  await attempt('Flood the chat');
  await verdict(page, 'guest', /^\d+ of 12 accepted\. The others: 429 rate_limited Too many/);
  await closeCleanly(page);
});

roomTest('the button moves both panes from SSE to MQTT and back, without a lost or repeated message', async (t) => {
  if (!demo.broker) return t.skip('this stack has no broker');
  const page = await openRoom();
  const { stream_id: stream } = demo;
  const { last: first } = await createClient({ url: stack.url }).messages(stream, { limit: 1 });
  const lastText = unique('the last one');
  let flowing = true;
  const flow = (async () => {
    for (let n = 1; ; n++) {
      const text = flowing && n <= 200 ? `n ${n}` : lastText;
      const answer = await send(stack.url, stack.user(), message(stream, text));
      assert.equal(answer.status, 200, answer.text);
      if (text === lastText) return;
      await pause(50);
    }
  })();
  for (const [to, from] of [['MQTT', 'SSE'], ['SSE', 'MQTT']]) {
    assert.equal(await page.textContent('#transport'), from);
    await page.getByRole('button', { name: `Move to ${to}` }).click();
    await page.waitForFunction((name) => document.getElementById('transport').textContent === name, to);
    assert.match(await page.textContent('#guest .via'), new RegExp(to));
    assert.equal(await page.textContent('#notice'), '');
    // A page that opens now begins with that transport.
    const late = await openRoom();
    assert.equal(await late.textContent('#transport'), to);
    await closeCleanly(late);
  }
  flowing = false;
  await flow;
  for (const role of ['owner', 'guest']) await line(page, role, lastText).waitFor();
  const { messages } = await createClient({ url: stack.url }).messages(stream, { limit: 500 });
  const lines = messages.filter(({ envelope: { t } }) => ['chat', 'transport_migrate', 'stream_rules', 'pinned'].includes(t));
  const shown = lines.map(({ offset }) => offset);
  for (const role of ['owner', 'guest']) {
    const read = await offsets(page, role);
    const kept = Math.max(read[0], shown[0]);
    assert.deepEqual(read.filter((offset) => offset >= kept), shown.filter((offset) => offset >= kept));
    assert(kept <= first, `${role} shows too few lines for this test`);
  }
  await closeCleanly(page);
});

roomTest('the page shows the newest high traffic badge and viewer count', async () => {
  const page = await openRoom();
  const badge = () => page.textContent('#traffic');
  const { stream_id: stream } = demo;
  await page.waitForFunction(() => Number(document.getElementById('viewers').textContent) >= 2); // counted by heartbeats
  await writeAsSystem(stack, stream, 'viewer_count_update', { webrtc: null, hls: 40, total: 1042 });
  await page.waitForFunction(() => document.getElementById('viewers').textContent === '1042');
  assert.equal(await badge(), '');
  await writeAsSystem(stack, stream, 'sampling_update', { active: true, rate: 10 });
  await page.waitForFunction(() => document.getElementById('traffic').textContent === 'High traffic: showing 10 %');
  const late = await openRoom();
  assert.equal(await late.textContent('#traffic'), 'High traffic: showing 10 %');
  assert.match(await late.textContent('#viewers'), /^\d+$/, 'the count is known at once');
  await writeAsSystem(stack, stream, 'sampling_update', { active: false });
  for (const shown of [page, late]) {
    await shown.waitForFunction(() => document.getElementById('traffic').textContent === '');
    await closeCleanly(shown);
  }
});

roomTest('without a broker the button is disabled, and the page says why', async () => {
  const page = await openRoom({}, { ...demo, broker: null });
  assert(await page.getByRole('button', { name: 'Move to MQTT' }).isDisabled());
  assert.equal(await page.textContent('#transport'), 'SSE');
  assert.match(await page.textContent('#notice'), /no MQTT broker/);
  await closeCleanly(page);
});

roomTest('the page connects only to its own origin and to the broker', async () => {
  const page = await openRoom();
  const known = [stack.url, demo.broker?.url].filter(Boolean).map((url) => new URL(url).origin);
  for (const origin of page.origins) assert(known.includes(origin), origin);
  const refused = await page.evaluate(() =>
    fetch('http://127.0.0.1:1').then(
      () => null,
      () => new Promise((resolve) => setTimeout(resolve, 0, 'refused')),
    ),
  );
  assert.equal(refused, 'refused');
  assert.match(page.problems.join(), /Content Security Policy/);
  await page.context().close();
});

for (const colorScheme of ['light', 'dark']) {
  for (const width of [320, 360, 1280]) {
    roomTest(`${colorScheme}, ${width} px: nothing is cut off, and every text has enough contrast`, async () => {
      const page = await openRoom({ colorScheme, viewport: { width, height: 800 } });
      await typeMessage(page, 'guest', `a word as long as ${'x'.repeat(300)} 😀`);
      await page.locator('#owner .messages [data-act=open]').last().waitFor();
      const cut = () => page.$eval('html', ({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
      assert.equal(await cut(), 0);
      assert.deepEqual(await page.evaluate(faintTexts), []);
      await page.locator('#owner .messages [data-act=open]').last().click();
      await page.waitForSelector('#result[data-result=ok]');
      assert.equal(await cut(), 0);
      assert.deepEqual(await page.evaluate(faintTexts), []);
      await closeCleanly(page);
    });
  }
}

roomTest('the Tab key reaches every control, in the order of the page', async () => {
  const page = await openRoom({}, { ...demo, broker: null }); // the disabled button is not reachable
  const reached = [];
  const texts = [unique('first of two'), unique('second of two')];
  for (const text of texts) {
    await send(stack.url, stack.user(), message(demo.stream_id, text));
    await line(page, 'owner', text).waitFor();
    await line(page, 'guest', text).waitFor();
  }
  await until('the focus went around', async () => {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const { id, className, textContent, dataset } = document.activeElement;
      return id || dataset.trial || className || textContent.trim();
    });
    reached.push(at);
    return at === 'report';
  });
  const side = (role) => ['messages', 'Envelope', `${role}-content`, 'Send'];
  const rules = ['slow-mode', 'members-only', 'held-open', 'reports-open'];
  await page.locator('#owner .messages [data-act=open]').last().focus();
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#result[data-result=ok]');
  assert.equal(JSON.parse(await page.textContent('#envelope')).d.content, texts[0]);
  assert.deepEqual(reached, [...rules, ...side('owner'), ...side('guest'), 'mute', 'ban', 'lift', 'member', 'held', 'flood', 'report']);
  await closeCleanly(page);
});
