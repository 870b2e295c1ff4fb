// Starts the proxies with the configurations in docs/examples/proxies, on free ports and as the owner of a stack's services.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from './http.mjs';
import { freePort } from './stack.mjs';
import { until, within } from './waiting.mjs';

// `file` is the example, `changes` are the places that depend on the test. `main` is the text of the file that includes the
// example, where a package of Debian brings one. `log` is the file with the log, where it is not the output.
const kinds = {
  nginx: {
    file: 'nginx.conf',
    changes: (sidecar, port, directory) => ({
      'server 127.0.0.1:8080': `server ${sidecar}`,
      'listen 8000': `listen 127.0.0.1:${port}`,
      '/var/log/nginx/sealcast.log': `${directory}/log`,
      '/var/log/nginx/sealcast_error.log': `${directory}/error_log`,
    }),
    main: (directory, example) => `daemon off; master_process off; pid ${directory}/pid; events {}
      http {
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
        include ${example};
      }`,
    command: (file, directory) => ['/usr/sbin/nginx', '-p', directory, '-e', 'stderr', '-c', file],
    log: 'log',
  },
  HAProxy: {
    file: 'haproxy.cfg',
    changes: (sidecar, port) => ({ 'a 127.0.0.1:8080': `a ${sidecar}`, 'bind :8000': `bind 127.0.0.1:${port}` }),
    command: (file) => ['/usr/sbin/haproxy', '-db', '-f', file],
  },
  Caddy: {
    file: 'Caddyfile',
    changes: (sidecar, port, directory) => ({
      'reverse_proxy 127.0.0.1:8080': `reverse_proxy ${sidecar}`,
      ':8000 {': `:${port} {`,
      '/var/log/caddy/sealcast.log': `${directory}/log`,
    }),
    main: (directory, example) => `{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\tgrace_period 1s\n}\nimport ${example}\n`,
    command: (file) => ['/usr/bin/caddy', 'run', '--adapter', 'caddyfile', '--config', file],
    log: 'log',
  },
  Varnish: {
    file: 'varnish.vcl',
    changes: (sidecar) => ({ '.port = "8080"': `.port = "${sidecar.split(':')[1]}"` }),
    command: (file, directory, port) =>
      ['/usr/sbin/varnishd', '-F', '-n', `${directory}/work`, '-a', `127.0.0.1:${port}`, '-f', file, '-s', 'malloc,32m', '-l', '8m'],
  },
};

export const names = Object.keys(kinds);

export class Proxy {
  #kind;
  #directory;
  #process;
  #output = '';

  // Resolves when the proxy answers with the sidecar at `sidecar` (host:port) behind it.
  static async start(stack, name, sidecar) {
    const proxy = new Proxy();
    try {
      await proxy.#start(stack, name, sidecar, await freePort());
    } catch (error) {
      await proxy.stop();
      throw error;
    }
    return proxy;
  }

  async #start(stack, name, sidecar, port) {
    this.url = `http://127.0.0.1:${port}`;
    this.#kind = kinds[name];
    const [program, ...parameters] = stack.asOwner('mktemp', '-d', '/tmp/sealcast-proxy-XXXXXX');
    this.#directory = execFileSync(program, parameters, { encoding: 'utf8' }).trim();
    let file = join(this.#directory, this.#kind.file);
    writeFileSync(file, this.#example(sidecar, port));
    if (this.#kind.main) {
      writeFileSync(join(this.#directory, 'main'), this.#kind.main(this.#directory, file));
      file = join(this.#directory, 'main');
    }
    this.#process = stack.spawn(this.#kind.command(file, this.#directory, port), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: this.#directory },
    });
    for (const pipe of [this.#process.stdout, this.#process.stderr]) pipe.on('data', (bytes) => (this.#output += bytes));
    const answers = async () => (await request(`${this.url}/regions`)).status === 200;
    await until(`${name} answers`, answers).catch((error) => assert.fail(`${error.message}\n${this.#output}`));
  }

  #example(sidecar, port) {
    const path = new URL(`../../docs/examples/proxies/${this.#kind.file}`, import.meta.url);
    let text = readFileSync(fileURLToPath(path), 'utf8');
    for (const [place, value] of Object.entries(this.#kind.changes(sidecar, port, this.#directory))) {
      const parts = text.split(place);
      assert.equal(parts.length, 2, `${this.#kind.file} has "${place}" once`);
      text = parts.join(value);
    }
    return text;
  }

  log() {
    return this.#kind.log ? readFileSync(join(this.#directory, this.#kind.log), 'utf8') : this.#output;
  }

  async stop() {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      await within('the proxy ends', ended).finally(() => this.#process.kill('SIGKILL'));
    }
    rmSync(this.#directory, { recursive: true });
  }
}
