// The package as `npm pack` makes it, installed in an empty directory: in each Node.js version, in builds by Vite and webpack,
// and in Chromium with an import map. The bundlers and Node.js versions are in peers/.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { closeAtEnd } from './close_at_end.mjs';
import { EVENTS_TYPE, seal, sendJson, serveAnswers } from './foreign_server.mjs';
import { launch } from './site.mjs';

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const peers = here('peers/');
const room = '0190d000-0000-7000-8000-000000000001';

let directory, packed, browser;
before(async () => {
  await run(here('../../local/npm'), [peers]);
  directory = await mkdtemp(join(tmpdir(), 'sealcast-package-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: here('../../client/') });
  [packed] = JSON.parse(stdout);
  await write('package.json', JSON.stringify({ private: true, type: 'module' }));
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', packed.filename], { cwd: directory });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  if (directory) await rm(directory, { recursive: true });
});

const write = (name, text) => writeFile(join(directory, name), text);

// Sends a message, and reads its frame. The result is the text that was read.
const USE = `
  import { createClient } from 'sealcast-client';
  export async function use(url) {
    const client = createClient({ url, token: 'x' });
    const read = new Promise((resolve) => {
      const subscription = client.subscribeStreamEvents('${room}', async ({ envelope }) => {
        subscription.close();
        resolve(envelope.d.content);
      });
      subscription.ready.then(() => client.sendMessage('${room}', 'chat', { content: 'hello' }));
    });
    return read;
  }`;

// Seals messages, and writes their frames to the event stream.
async function sidecar() {
  const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*, Authorization' };
  let events;
  const { url } = await serveAnswers((request, response, body) => {
    if (request.method === 'OPTIONS') return response.writeHead(204, cors).end();
    if (request.method === 'GET') {
      events = response;
      return response.writeHead(200, { ...EVENTS_TYPE, ...cors }).write('id: e1:0\n\n');
    }
    const envelope = seal(body);
    sendJson(response, envelope, 200, cors);
    events.write(`id: e1:1\ndata: ${JSON.stringify({ offset: 1, prev: 0, envelope })}\n\n`);
  });
  return url;
}

// Serves the files of the directory to a page.
async function site() {
  const types = { '.html': 'text/html', '.js': 'text/javascript' };
  const server = http.createServer(async (request, response) => {
    const path = new URL(request.url, 'http://site').pathname;
    const body = await readFile(join(directory, path)).catch(() => null);
    response.writeHead(body ? 200 : 404, { 'content-type': types[extname(path)] ?? 'text/plain' }).end(body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  closeAtEnd(async () => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

// What globalThis.use() of a page reads.
async function resultOf(path) {
  const page = await (await browser.newContext()).newPage();
  closeAtEnd(() => page.context().close());
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto((await site()) + path);
  await page.waitForFunction(() => globalThis.use, null, { timeout: 10_000 }).catch((error) => assert.fail(problems.join() || error.message));
  const result = await page.evaluate((url) => globalThis.use(url), await sidecar());
  assert.deepEqual(problems, []);
  return result;
}

test('the package has the license, the types and every file that it imports, and no test', () => {
  const files = packed.files.map(({ path }) => path);
  for (const file of ['LICENSE', 'README.md', 'index.js', 'index.d.ts', 'drivers/sse.js']) assert.ok(files.includes(file), file);
  assert.deepEqual(files.filter((file) => !/^(drivers\/)?[\w.]+$/.test(file)), []);
  assert.ok(packed.unpackedSize < 200_000, `${packed.unpackedSize} bytes`);
});

test("the package's license is the project's", async () => {
  assert.equal(await readFile(here('../../client/LICENSE'), 'utf8'), await readFile(here('../../LICENSE'), 'utf8'));
});

const NODES = { 18: join(peers, 'node_modules/node18/bin/node'), 22: join(peers, 'node_modules/node22/bin/node'), own: process.execPath };
for (const [version, node] of Object.entries(NODES)) {
  test(`Node.js (${version}) sends and reads with the package`, async () => {
    await write('use.js', USE);
    await write('main.js', "import { use } from './use.js'; console.log(process.version, await use(process.argv[2]));");
    const { stdout, stderr } = await run(node, ['main.js', await sidecar()], { cwd: directory, timeout: 20_000 });
    assert.match(stdout, version === 'own' ? /^v\d+\S+ hello\n$/ : new RegExp(`^v${version}\\.\\S+ hello\\n$`));
    assert.equal(stderr, '');
  });
}

const PAGE_MAIN = "import { use } from './use.js'; globalThis.use = use;";

test('a page built by Vite sends and reads', async () => {
  await write('use.js', USE);
  await write('vite_main.js', PAGE_MAIN);
  await write('index.html', '<!doctype html><script type="module" src="/vite_main.js"></script>');
  const vite = join(peers, 'node_modules/vite/bin/vite.js');
  await run(NODES[22], [vite, 'build', '--base', './', '--outDir', 'vite', '--logLevel', 'warn'], { cwd: directory });
  assert.equal(await resultOf('/vite/index.html'), 'hello');
});

test('a page built by webpack sends and reads', async () => {
  await write('use.js', USE);
  await write('webpack_main.js', PAGE_MAIN);
  const output = { path: join(directory, 'webpack'), filename: 'bundle.js' };
  const config = { mode: 'production', context: directory, entry: './webpack_main.js', output };
  const { default: webpack } = await import(join(peers, 'node_modules/webpack/lib/index.js'));
  const stats = await promisify(webpack)(config);
  assert.equal(stats.hasErrors() || stats.hasWarnings(), false, stats.toString());
  await write('webpack.html', '<!doctype html><script src="/webpack/bundle.js"></script>');
  assert.equal(await resultOf('/webpack.html'), 'hello');
});

test('a page with an import map sends and reads', async () => {
  await write('use.js', USE);
  const map = JSON.stringify({ imports: { 'sealcast-client': '/node_modules/sealcast-client/index.js' } });
  await write('map.html', `<!doctype html><script type="importmap">${map}</script><script type="module">${PAGE_MAIN.replace('./', '/')}</script>`);
  assert.equal(await resultOf('/map.html'), 'hello');
});

test('TypeScript finds the types of the package, as Node.js and as bundlers resolve them', async () => {
  await write('use.ts', "import { createClient, type Client } from 'sealcast-client';\nexport const client: Client = createClient({ url: 'https://chat.example' });\n");
  const tsc = here('../../node_modules/typescript/bin/tsc');
  for (const [module, resolution] of [['nodenext', 'nodenext'], ['esnext', 'bundler']]) {
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom', '--module', module, '--moduleResolution', resolution];
    await run(process.execPath, [tsc, ...options, 'use.ts'], { cwd: directory }).catch(({ stdout }) => assert.fail(stdout));
  }
});
