// A browser, and a web server that serves it the client module. The server has another origin than the sidecar.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export { launch } from '../browser/page.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

// Serves the module's files, MQTT.js, and an empty page.
export async function serve() {
  const server = http.createServer(async (request, response) => {
    const path = new URL(request.url, 'http://site').pathname;
    if (path === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    const file = path === '/mqtt.js' ? 'node_modules/mqtt/dist/mqtt.esm.js' : join('client', path.slice('/client/'.length));
    const body = await readFile(join(root, file)).catch(() => null);
    response.writeHead(body ? 200 : 404, { 'content-type': 'text/javascript' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}
