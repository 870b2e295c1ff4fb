// A Mosquitto that checks readers' tokens with the plugin (mosquitto/). It has one user with a password, who publishes.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from './stack.mjs';
import { until } from './waiting.mjs';

const plugin = process.env.SEALCASTD
  ? join(dirname(resolve(process.env.SEALCASTD)), 'sealcast_tokens.so')
  : fileURLToPath(new URL('../../build/sealcast_tokens.so', import.meta.url));

// A plugin built with a sanitizer needs the sanitizer's library to be loaded first.
const sanitized = plugin.includes('asan');
const library = (name) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
const environment = sanitized
  ? { PATH: process.env.PATH, LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`, ASAN_OPTIONS: 'detect_leaks=0' }
  : { PATH: process.env.PATH };

export class TokenBroker {
  log = [];
  secret = randomBytes(32).toString('hex');
  password = randomBytes(16).toString('hex'); // of the user sealcast

  // The broker's processes and files belong to the stack.
  static async start(stack) {
    const broker = new TokenBroker();
    broker.stack = stack;
    broker.port = await freePort();
    broker.webSocketPort = await freePort();
    const own = broker.#file('sealcast_tokens.so'); // where the owner of the services can read it
    copyFileSync(plugin, own);
    broker.passwordFile = broker.#write('password', broker.password);
    broker.secretFile = broker.#write('token-secret', `${broker.secret}\n`);
    const passwords = broker.#writePasswords();
    broker.configuration = broker.#write(
      'mosquitto.conf',
      [
        'per_listener_settings false',
        'allow_anonymous false',
        'log_type all',
        `password_file ${passwords}`,
        `acl_file ${broker.#write('access', 'user sealcast\ntopic readwrite #\n')}`,
        `plugin ${own}`,
        `plugin_opt_secret_file ${broker.secretFile}`,
        `listener ${broker.port} 127.0.0.1`,
        `listener ${broker.webSocketPort} 127.0.0.1`,
        'protocol websockets',
      ].join('\n'),
    );
    await broker.start();
    return broker;
  }

  #file(name) {
    return join(this.stack.directory, `broker-${this.port}-${name}`);
  }

  #write(name, content) {
    writeFileSync(this.#file(name), content, { mode: 0o644 });
    return this.#file(name);
  }

  // The file of the broker itself.
  #writePasswords() {
    const passwords = this.#write('passwords', `sealcast:${this.password}\n`);
    execFileSync('mosquitto_passwd', ['-U', passwords], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
    return passwords;
  }

  // Changes the password of the user sealcast, for the broker at its next start, and in the file for sealcastd.
  changePassword(password) {
    this.password = password;
    this.#writePasswords();
    this.#write('password', password);
  }

  async start() {
    this.process = this.stack.spawn(['mosquitto', '-c', this.configuration], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: environment,
    });
    createInterface(this.process.stderr).on('line', (line) => this.log.push(line));
    await until('the broker listens', async () => {
      if (this.process.exitCode !== null) return true;
      for (const port of [this.port, this.webSocketPort]) {
        const socket = net.connect(port, '127.0.0.1');
        await once(socket, 'connect');
        socket.destroy();
      }
      return true;
    });
    if (this.process.exitCode !== null) throw new Error(`the broker did not start\n${this.log.join('\n')}`);
  }

  // Writes the secret and makes the broker reload.
  useSecret(secret) {
    this.#write('token-secret', secret);
    this.process.kill('SIGHUP');
  }

  async stop() {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    return (await ended)[0];
  }

  get url() {
    return `mqtt://127.0.0.1:${this.port}`;
  }

  get webSocketUrl() {
    return `ws://127.0.0.1:${this.webSocketPort}`;
  }

  // The settings with which sealcastd publishes to this broker and makes tokens for it.
  get settings() {
    return {
      SEALCAST_MQTT_URL: `mqtt://sealcast@127.0.0.1:${this.port}`,
      SEALCAST_MQTT_PASSWORD_FILE: this.passwordFile,
      SEALCAST_MQTT_TOKEN_SECRET_FILE: this.secretFile,
      SEALCAST_MQTT_PUBLIC_URL: this.webSocketUrl,
    };
  }
}
