// Secrets stay in their files: a whole stack works, fails and crashes with unmistakable secrets (canaries). Then the test searches
// all files, logs and answers for them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, createHmac, createPrivateKey, generateKeyPairSync, pbkdf2Sync, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { makeCertificate } from '../contracts/service.mjs';
import { Canaries } from './canaries.mjs';
import { ContractService } from './contract_service.mjs';
import { Subscriber, message, request, send } from './http.mjs';
import { PrivateStack, freePort } from './stack.mjs';
import { TokenBroker } from './token_broker.mjs';
import { until } from './waiting.mjs';

const run = promisify(execFile);

let stack, broker, ably, supabase, webhook, settings, clientCertificate;
const canaries = new Canaries();
const texts = new Map(); // source (a log, a kind of answer, …) → its text
const secretFiles = new Set(); // files that must contain a secret; local/up wrote some of them

// A handler of events that always fails.
const HANDLER = `
  create role shop;
  create schema shop authorization shop;
  grant usage on schema sealcast to shop;
  create function shop.refuse(e sealcast.event) returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$ begin raise exception 'the test handler fails'; end $$;
  alter function shop.refuse owner to shop;
  revoke all on function shop.refuse from public;
  grant usage on schema shop to sealcast_service;
  grant execute on function shop.refuse to sealcast_service;
  select sealcast.register_handler('refuse', 'chat', 'shop.refuse(sealcast.event)', 100, 1, '30 s', 'canary')`;

// Makes a secret and a file that alone contains it; returns the path of the file.
function secretFile(what, { content = (secret) => secret } = {}) {
  const secret = `canary${randomBytes(25).toString('hex')}`; // also valid base64, of 42 bytes
  canaries.set(what, secret);
  const path = join(stack.directory, 'canaries', what.replaceAll(' ', '-'));
  writeFileSync(path, content(secret), { mode: 0o644 });
  secretFiles.add(path);
  return path;
}

// Adds the private key of a pair: the line of its PEM, and the seed at its end.
function keyPair(what, pem) {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  canaries.set(`${what}, the line of its PEM`, pem.split('\n')[1]);
  canaries.set(`${what}, its seed`, der.subarray(-32));
}

// Makes the key of a TLS client, and the settings that use it with its own certificate or with that of another key.
function tlsClient() {
  const [own, other] = ['tls-client', 'tls-other'].map((name) => makeCertificate(join(stack.directory, 'canaries'), 'localhost', name));
  const pem = readFileSync(own.key, 'utf8');
  canaries.set('key of the TLS client, the line of its PEM', pem.split('\n')[1]);
  canaries.set('key of the TLS client, its number', Buffer.from(createPrivateKey(pem).export({ format: 'jwk' }).d, 'base64url'));
  secretFiles.add(own.key);
  const settingsOf = (name, url, cert) => ({ [`SEALCAST_${name}URL`]: url, [`SEALCAST_${name}CERT_FILE`]: cert, [`SEALCAST_${name}KEY_FILE`]: own.key });
  const all = (cert) => ({
    ...settingsOf('GATE_REDIS_', 'rediss://127.0.0.1:1', cert),
    ...settingsOf('REDIS_STREAMS_', 'rediss://127.0.0.1:1', cert),
    ...settingsOf('REDIS_EVENTS_', 'rediss://127.0.0.1:1', cert),
    ...settingsOf('MQTT_', 'mqtts://127.0.0.1:1', cert),
  });
  return { own: all(own.cert), other: all(other.cert) };
}

// The SCRAM verifier of RFC 5803. Postgres gets this verifier instead of the password.
function scramVerifier(password) {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
  const mac = (text) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(mac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$4096:${salt.toString('base64')}$${stored}:${mac('Server Key').toString('base64')}`;
}

const record = (what, text) => texts.set(what, `${texts.get(what) ?? ''}${text}\n`);

before(async () => {
  stack = await PrivateStack.create();
  mkdirSync(join(stack.directory, 'canaries'), { mode: 0o755 });

  canaries.set('signing key', readFileSync(join(stack.keyring, 'k1'), 'utf8').trim());
  await stack.addKey('k2');
  canaries.set('second key', readFileSync(join(stack.keyring, 'k2'), 'utf8').trim());
  await stack.addKeyPair('e1');
  keyPair('Ed25519 key', readFileSync(join(stack.keyring, 'e1.ed25519'), 'utf8'));
  canaries.set('session secret', stack.sessionSecret);
  canaries.set('Redis password', readFileSync(join(stack.directory, 'secrets/redis'), 'utf8').trim());
  for (const path of ['keyring/k1', 'keyring/k2', 'keyring/e1.ed25519', 'secrets/session', 'secrets/redis', 'redis/redis.conf', 'env']) {
    secretFiles.add(join(stack.directory, path));
  }

  // Postgres demands a password of the sidecar, logs every statement with its parameters, and counts the statements.
  const passwordFile = secretFile('Postgres password');
  await stack.query(`alter role sealcast_service password '${scramVerifier(canaries.get('Postgres password'))}'`);
  const hba = join(stack.directory, 'pgdata/pg_hba.conf');
  writeFileSync(hba, `local all sealcast_service scram-sha-256\n${readFileSync(hba, 'utf8')}`);
  for (const setting of [
    "log_statement = 'all'", 'log_min_duration_statement = 0', 'log_connections = on', "log_error_verbosity = 'verbose'",
    "log_min_messages = 'debug1'", 'log_parameter_max_length_on_error = -1', 'log_duration = on',
    "shared_preload_libraries = 'sealcast', 'pg_stat_statements'",
  ]) {
    await stack.query(`alter system set ${setting}`);
  }
  await stack.stop('postgres', 'SIGINT');
  await stack.startPostgres();
  await stack.query('create extension pg_stat_statements schema public');
  await stack.query(HANDLER);

  broker = await TokenBroker.start(stack);
  canaries.set('MQTT password', broker.password);
  canaries.set('MQTT token secret', broker.secret);
  for (const file of [broker.passwordFile, broker.secretFile]) secretFiles.add(file);

  // The services refuse these keys, since they are not their own.
  ably = await ContractService.start('ably');
  supabase = await ContractService.start('supabase');
  webhook = createServer((incoming, outgoing) => {
    record('webhook requests', JSON.stringify(incoming.headers));
    outgoing.writeHead(500).end();
  }).listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  const service = (prefix) => (secret) => `${prefix}${secret}`;
  settings = {
    SEALCAST_LOG_LEVEL: 'debug',
    SEALCAST_POSTGRES_PASSWORD_FILE: passwordFile,
    SEALCAST_GATE_REDIS_PASSWORD_FILE: join(stack.directory, 'secrets/redis'),
    SEALCAST_SESSION_HS256_SECRET_FILE: join(stack.directory, 'secrets/session'),
    SEALCAST_REDIS_EVENTS_URL: stack.gateUrl,
    SEALCAST_REDIS_EVENTS_PASSWORD_FILE: join(stack.directory, 'secrets/redis'),
    SEALCAST_REDIS_STREAMS_URL: stack.gateUrl,
    SEALCAST_REDIS_STREAMS_PASSWORD_FILE: secretFile('password of redis_streams'), // not the server's
    SEALCAST_GATE_REDIS_SENTINEL_PASSWORD_FILE: secretFile('password of the sentinels'),
    SEALCAST_REDIS_STREAMS_SENTINEL_PASSWORD_FILE: secretFile('password of the sentinels of redis_streams'),
    SEALCAST_REDIS_EVENTS_SENTINEL_PASSWORD_FILE: secretFile('password of the sentinels of redis_events'),
    SEALCAST_SESSION_TICKET_SECRET_FILE: secretFile('ticket secret'),
    ...broker.settings,
    SEALCAST_ABLY_URL: ably.url,
    SEALCAST_ABLY_CA_FILE: ably.certificates,
    SEALCAST_ABLY_KEY_FILE: secretFile('Ably key', { content: service('other.key:') }),
    SEALCAST_ABLY_TOKEN_KEY_FILE: secretFile('Ably key of readers', { content: service('other.key:') }),
    SEALCAST_SUPABASE_URL: supabase.url,
    SEALCAST_SUPABASE_CA_FILE: supabase.certificates,
    SEALCAST_SUPABASE_KEY_FILE: secretFile('Supabase key', { content: service('sb_secret_') }),
    SEALCAST_SWITCHING_TARGET: 'mqtt',
    SEALCAST_SWITCHING_WEBHOOK_URL: `http://127.0.0.1:${webhook.address().port}/hook`,
    SEALCAST_SWITCHING_WEBHOOK_SECRET_FILE: secretFile('webhook secret', { content: service('whsec_') }),
    SEALCAST_WEBHOOKS_URL: `http://127.0.0.1:${webhook.address().port}/events`,
    SEALCAST_WEBHOOKS_SECRET_FILE: secretFile('secret of the webhook for events', { content: service('whsec_') }),
    SEALCAST_LIVEKIT_URL: `http://127.0.0.1:${await freePort()}`,
    SEALCAST_LIVEKIT_API_KEY: 'livekit',
    SEALCAST_LIVEKIT_API_SECRET_FILE: secretFile('LiveKit secret'),
  };
  clientCertificate = tlsClient();
});
after(async () => {
  webhook?.close();
  await ably?.close();
  await supabase?.close();
  await stack?.close();
});

// Makes a request and records its answer.
async function ask(url, path, options) {
  const answer = await request(`${url}${path}`, options);
  record(`answers of ${path.split('?')[0].replace(/[0-9a-f-]{36}/, '{id}')}`, JSON.stringify(answer.headers) + answer.text);
  return answer;
}

async function signWith(kid) {
  await stack.query(`alter system set sealcast.signing_kid = '${kid}'`);
  await stack.query('select pg_reload_conf()');
  await until(`${kid} signs`, async () => (await stack.query('select from sealcast.keys() where signing and kid = $1', [kid])).length === 1);
}

async function useNormally(sidecar) {
  const room = await stack.stream();
  const privateRoom = await stack.stream({ visibility: 'private' });
  const member = stack.user();
  await stack.grant(privateRoom, member, 'vip');
  const session = { authorization: `Bearer ${member.token()}` };
  canaries.set('session', session.authorization.split('.')[2]); // the signature only, since Postgres logs the claims

  const content = `payload-canary-${randomUUID()}`;
  canaries.set('payload', content);
  assert.equal((await send(sidecar.url, stack.user(), message(room, content))).status, 200);
  await stack.sendFromSql(stack.user(), message(room, content));
  const { access_token: ticket } = (await request(`${sidecar.url}/streams/${privateRoom}/token`, { method: 'POST', headers: session })).json;
  canaries.set('ticket', ticket.split('.')[2]);
  const { token } = (await request(`${sidecar.url}/streams/${privateRoom}/token`, { method: 'POST', headers: session, body: { transport: 'mqtt' } })).json;
  canaries.set('transport token', token.split('.')[2]);
  assert.equal((await ask(sidecar.url, `/streams/${privateRoom}/token`, { method: 'POST', headers: session, body: { transport: 'ably' } })).status, 200);
  await signWith('e1');
  assert.equal((await send(sidecar.url, member, message(room, content))).json.kid, 'e1');
  await signWith('k1');
  const subscriber = await Subscriber.to(sidecar.url, privateRoom, { query: `?access_token=${ticket}` });
  assert.equal((await send(sidecar.url, member, message(privateRoom, content))).status, 200);
  await subscriber.received(1);
  subscriber.close();
  await ask(sidecar.url, `/streams/${privateRoom}/messages?access_token=${ticket}&limit=x`);
  await ask(sidecar.url, `/streams/${room}/messages?access_token=${ticket}`);
  await stack.query(`select sealcast.set_delivery_mode($1, 'hot')`, [room]);
  await until('the webhook is called', () => texts.has('webhook requests'));
  await until('the services refuse their keys', async () =>
    (await stack.query("select from sealcast.delivery_lags where transport in ('ably', 'supabase')")).length > 0 || sidecar.log.some((line) => /ably|supabase/.test(line)));
}

async function causeFailures(sidecar) {
  const room = await stack.stream();
  const user = stack.user();
  for (const token of [stack.sessionSecret, user.token({}, { secret: canaries.get('signing key') }), user.token({ exp: 1 })]) {
    const answer = await request(`${sidecar.url}/rpc/send_message`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: message(room) });
    assert.equal(answer.status, 401);
    record('answers to bad sessions', JSON.stringify(answer.headers) + answer.text);
  }
  await ask(sidecar.url, '/rpc/send_message', { method: 'POST', headers: user.headers, body: `{"d":"${canaries.get('payload')}` });
  for (const sql of [
    "select sealcast.sign('x', 'nobody')", "select sealcast.verify_detail('{}')", 'select * from sealcast.keys()',
    "select sealcast.send_message(gen_random_uuid(), 'chat', '{}', gen_random_uuid())", "select current_setting('sealcast.keyring')",
    'select sealcast.canonicalize(\'{"a":1,"a":2}\'::json)',
  ]) {
    record('answers to SQL', await stack.query(sql).then(JSON.stringify, (error) => JSON.stringify({ ...error, text: String(error) })));
  }

  // At a reload Postgres reports a bad key file by its name, without quoting its content.
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  keyPair('broken Ed25519 key', pem);
  const brokenPem = pem.replace('-----END', '!-----END');
  for (const [kid, content, mode] of [['broken.ed25519', brokenPem, 0o600], ['short', 'canaryshort0123456789', 0o600], ['open', `canaryopen${'x'.repeat(40)}`, 0o666], ['not a kid', `canaryname${'x'.repeat(40)}`, 0o600]]) {
    if (content !== brokenPem) canaries.set(`key ${kid}`, content);
    const path = join(stack.keyring, kid);
    writeFileSync(path, content);
    chmodSync(path, mode);
    const { uid, gid } = statSync(join(stack.keyring, 'k1'));
    chownSync(path, uid, gid);
    await stack.query('select pg_reload_conf()');
    await until(`Postgres reports the file ${kid}`, () => readFileSync(join(stack.directory, 'log/postgres.log'), 'utf8').includes(`"${kid}"`) ||
      readFileSync(join(stack.directory, 'log/postgres.log'), 'utf8').includes(`/${kid}`));
    rmSync(path);
    await stack.query('select pg_reload_conf()');
  }

  await stack.stop('redis', 'SIGKILL');
  await ask(sidecar.url, '/rpc/send_message', { method: 'POST', headers: user.headers, body: message(room) });
  record('answers to SQL', await stack.sendFromSql(user, message(room)).then(String, (error) => JSON.stringify({ ...error, text: String(error) })));
  await stack.startRedis();
  await stack.stop('postgres', 'SIGQUIT');
  await until('the sidecar notices the loss of Postgres', async () => (await ask(sidecar.url, '/rpc/send_message', { method: 'POST', headers: user.headers, body: message(room) })).status === 503);
  await ask(sidecar.url, '/readyz');
  await stack.startPostgres();
  await until('messages are accepted again', async () => (await send(sidecar.url, stack.user(), message(room))).status === 200);
}

// Starts a sidecar that cannot get ready, and records its log when the log matches or the sidecar has ended.
async function startBadly(what, changed, pattern) {
  const child = stack.spawn([join(stack.directory, 'bin/sealcastd')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env.PATH,
      SEALCAST_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      SEALCAST_POSTGRES_DSN: stack.serviceDsn,
      SEALCAST_GATE_REDIS_URL: `redis://${new URL(await redisUrl()).host}`,
      SEALCAST_GATE_REDIS_PASSWORD_FILE: join(stack.directory, 'secrets/redis'),
      SEALCAST_SESSION_HS256_SECRET_FILE: join(stack.directory, 'secrets/session'),
      ...settings,
      ...changed,
    },
  });
  let log = '';
  createInterface(child.stderr).on('line', (line) => (log += `${line}\n`));
  const ended = once(child, 'close');
  await until(`a sidecar with ${what} reports the error`, () => pattern.test(log) || (child.exitCode !== null && assert.fail(log)));
  child.kill('SIGKILL');
  await ended;
  record(`log with ${what}`, log);
}
const redisUrl = async () => `redis://127.0.0.1:${readFileSync(join(stack.directory, 'run/redis.port'), 'utf8').trim()}`;

function filesUnder(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesUnder(path);
    return entry.isFile() ? [path] : [];
  });
}

test('a canary is found in every encoding', () => {
  const [text, bytes] = ['canary-of-some-length', randomBytes(32)];
  const sample = new Canaries();
  sample.set('text', text);
  sample.set('bytes', bytes);
  sample.set('hex', bytes.toString('hex'));
  sample.set('base64', bytes.toString('base64'));
  assert.deepEqual(sample.in(`a ${text} b`), ['text']);
  for (const before of ['', 'u', 'us', 'user:']) {
    for (const encoding of ['hex', 'base64', 'base64url']) {
      assert.deepEqual(sample.in(`Basic ${Buffer.from(`${before}${text}@`).toString(encoding)}`), ['text'], `${encoding} behind '${before}'`);
    }
    assert.deepEqual(sample.in(Buffer.concat([Buffer.from(before), bytes])), ['bytes', 'hex', 'base64']);
    assert.deepEqual(sample.in(Buffer.concat([Buffer.from(before), bytes]).toString('hex')), ['bytes', 'hex', 'base64']);
  }
  assert.deepEqual(sample.in('nothing of the kind'), []);
});

test('each setting that names a secret file has a canary', async () => {
  const { stdout } = await run(join(stack.directory, 'bin/sealcastd'), ['--print-settings']);
  const variables = [...stdout.matchAll(/^\| `\w+\.\w*(?:password|secret|key)_file` \| `(\w+)` \|/gm)].map(([, variable]) => variable);
  assert.ok(variables.length >= 13, stdout);
  for (const variable of variables) {
    const file = settings[variable] ?? clientCertificate.own[variable];
    assert.ok(file, `${variable} is not set here; give it a secretFile()`);
    assert.notDeepEqual(canaries.in(readFileSync(file)), [], `the file of ${variable} contains no canary`);
  }
});

test('no secret is found outside its file', { timeout: 300_000 }, async (t) => {
  const crashes = join(stack.directory, 'crashes');
  mkdirSync(crashes, { mode: 0o777 });
  chmodSync(crashes, 0o777);
  const withCores = ['prlimit', '--core=unlimited:unlimited', 'env', `--chdir=${crashes}`];
  const sidecar = await stack.sidecar(settings, withCores);
  await useNormally(sidecar);
  await causeFailures(sidecar);

  await startBadly('a wrong Postgres password', { SEALCAST_POSTGRES_PASSWORD_FILE: secretFile('wrong Postgres password') }, /password authentication failed/);
  await startBadly('a wrong Redis password', { SEALCAST_GATE_REDIS_PASSWORD_FILE: secretFile('wrong Redis password') }, /WRONGPASS|invalid password/i);
  await startBadly('a wrong MQTT password', { SEALCAST_MQTT_PASSWORD_FILE: secretFile('wrong MQTT password') }, /not authori[sz]ed|bad user ?name or password/i);
  await startBadly('a certificate of another key', clientCertificate.other, /^sealcastd: .*key_file/m);
  await startBadly('client certificates, and no servers', clientCertificate.own, /Connection refused/);
  canaries.set('password in a setting', `canary${randomBytes(8).toString('hex')}`);
  const inSetting = canaries.get('password in a setting');
  for (const [what, changed] of Object.entries({
    'a password in postgres.dsn': { SEALCAST_POSTGRES_DSN: `host=x password=${inSetting}` },
    'a password in a Postgres URL': { SEALCAST_POSTGRES_DSN: `postgresql://x:${inSetting}@x/y` },
    'a password in gate.redis_url': { SEALCAST_GATE_REDIS_URL: `redis://x:${inSetting}@x` },
    'a password in mqtt.url': { SEALCAST_MQTT_URL: `mqtt://x:${inSetting}@x` },
    'a password in ably.url': { SEALCAST_ABLY_URL: `https://x:${inSetting}@x` },
    'a password in the webhook\'s URL': { SEALCAST_SWITCHING_WEBHOOK_URL: `https://x:${inSetting}@x/` },
    'a password in webhooks.url': { SEALCAST_WEBHOOKS_URL: `https://x:${inSetting}@x/` },
  })) {
    await startBadly(what, changed, /^sealcastd: /m);
  }

  // A worker, a replay, and the options that only read a settings file, with a file that contains a password.
  const worker = await stack.worker('canary', settings);
  await until('the worker logs the failure of its handler', () => worker.log.some((line) => line.includes('the test handler fails')));
  await ask(worker.url, '/metrics');
  await worker.stop();
  record('log of the worker', worker.log.join('\n'));
  for (const from of ['2000-01-01', 'yesteryear']) record('replay', JSON.stringify(await stack.replay(['--from', from], settings).catch((error) => error)));
  const bad = secretFile('password in a bad file', { content: (secret) => `[postgres]\npassword = "${secret}"\ndsn = "host=x password=${secret}"\n` });
  for (const option of ['--check-config', '--print-settings']) {
    const { stdout, stderr } = await run(join(stack.directory, 'bin/sealcastd'), [option, '--config', bad]).catch((error) => error);
    record('output for a bad file', stdout + stderr);
  }

  for (const path of ['/metrics', '/readyz', '/healthz', '/openapi.json', '/regions', '/.well-known/none']) await ask(sidecar.url, path);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      record('command lines', readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' '));
    } catch {} // it has ended
  }
  const { host, port, database, user } = stack.postgres;
  const { stdout: dump } = await run('pg_dump', ['-h', host, '-p', String(port), '-U', user, database], { maxBuffer: 1 << 28 });
  record('pg_dump', dump);
  const { stdout: globals } = await run('pg_dumpall', ['-h', host, '-p', String(port), '-U', user, '--globals-only']);
  record('pg_dumpall', globals);
  record('pg_stat_statements', (await stack.query("select string_agg(query, E'\\n') as text from pg_stat_statements"))[0].text);
  record('pg_settings', JSON.stringify(await stack.query('select * from pg_settings')));
  record('Redis', await stack.redis('keys', '*'));
  await stack.query('checkpoint');

  // A crash of the sidecar leaves no core file, although the limits allow one.
  const control = stack.spawn(['sleep', '600'], { inside: withCores });
  await once(control, 'spawn');
  await until('the control process sleeps', () => readFileSync(`/proc/${control.pid}/comm`, 'utf8') === 'sleep\n');
  control.kill('SIGABRT');
  await once(control, 'exit');
  const cores = readdirSync(crashes);
  if (readFileSync('/proc/sys/kernel/core_pattern', 'utf8').startsWith('core')) assert.equal(cores.length, 1, 'a process without secrets leaves a core file');
  assert.match(readFileSync(`/proc/${sidecar.process.pid}/limits`, 'utf8'), /^Max core file size +0 +unlimited/m);
  sidecar.process.kill('SIGABRT');
  assert.deepEqual(await sidecar.exited, { code: null, signal: 'SIGABRT' });
  assert.deepEqual(readdirSync(crashes), cores, 'the sidecar leaves no core file');
  record('log of the sidecar', sidecar.log.join('\n'));
  record('log of Mosquitto', broker.log.join('\n'));

  for (const what of ['pg_dump', 'pg_stat_statements', 'log of the sidecar', 'log of Mosquitto', 'answers of /metrics', 'webhook requests', 'log of the worker', 'replay', 'output for a bad file']) {
    assert.ok(texts.get(what)?.length > 100, `${what} has no text to search`);
  }
  const found = [];
  for (const [what, text] of texts) {
    // A payload may be in the dump, since messages are dumped.
    for (const canary of canaries.in(text)) if (canary !== 'payload' || what !== 'pg_dump') found.push(`${canary} in ${what}`);
  }
  // All files that the stack wrote: logs, tables, WAL, configuration. Postgres's own files may contain payloads, since it logs
  // the parameters of statements.
  let searched = 0;
  for (const path of filesUnder(stack.directory)) {
    if (path.startsWith(join(stack.directory, 'postgresql')) || path.startsWith(crashes)) continue;
    const bytes = readFileSync(path);
    searched += bytes.length;
    if (secretFiles.has(path)) continue;
    const ofPostgres = /^(pgdata\/|log\/postgres)/.test(relative(stack.directory, path));
    for (const canary of canaries.in(bytes)) {
      if (canary !== 'payload' || !ofPostgres) found.push(`${canary} in ${relative(stack.directory, path)}`);
    }
  }
  t.diagnostic(`${canaries.size} secrets, ${texts.size} texts, ${searched >> 20} MiB of files`);
  assert.ok(searched > 1 << 24);
  assert.deepEqual(found, []);
});
