// The stacks under test: the shared one that .local/env describes, or a private one whose parts a test may stop.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { User } from './user.mjs';
import { until, within } from './waiting.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

// Child processes must not get the variables of the shared stack.
function cleanEnvironment(extra) {
  const kept = Object.entries(process.env).filter(([name]) => !/^(SEALCAST|PG|DEMO_|REDIS_URL|MQTT_|NODE_)/.test(name));
  return { ...Object.fromEntries(kept), ...extra };
}

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// The common part of both kinds of stack: queries to the database, users, and streams.
class System {
  #pool;

  constructor({ url, postgres, keyring, sessionSecret }) {
    Object.assign(this, { url, keyring, sessionSecret });
    this.use(postgres);
  }

  // From now on, the statements go to this server.
  use(postgres) {
    const before = this.#pool;
    this.postgres = postgres;
    this.#pool = new pg.Pool({ ...postgres, max: 4 });
    this.#pool.on('error', () => {}); // a test may stop Postgres while a connection is idle
    return before?.end();
  }

  // Runs a statement as the superuser; resolves with the rows.
  async query(sql, parameters) {
    return (await this.#pool.query(sql, parameters)).rows;
  }

  async connect(options = {}) {
    const client = new pg.Client({ ...this.postgres, ...options });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  // A new user, so that no test meets the rate limit of another.
  user(id) {
    return new User(this.sessionSecret, id);
  }

  async stream({ visibility = 'public' } = {}) {
    const streamId = randomUUID();
    await this.query('insert into sealcast.streams (stream_id, visibility) values ($1, $2)', [streamId, visibility]);
    return streamId;
  }

  async grant(streamId, user, role) {
    await this.query('insert into sealcast.stream_roles (stream_id, user_id, role) values ($1, $2, $3)', [
      streamId,
      user.id,
      role,
    ]);
  }

  // Calls send_message() as a gateway does, and with these settings. Throws Postgres's error.
  async sendFromSql(user, { stream_id, t, d, txn_id }, settings = {}) {
    const client = await this.connect();
    try {
      await client.query('begin; set local role sealcast_user');
      for (const [name, value] of Object.entries({ 'request.jwt.claims': JSON.stringify(user.claims), ...settings })) {
        await client.query('select set_config($1, $2, true)', [name, value]);
      }
      const parameters = [stream_id, t, typeof d === 'string' ? d : JSON.stringify(d), txn_id];
      const { rows } = await client.query('select sealcast.send_message($1, $2, $3, $4)::text as envelope', parameters);
      await client.query('commit');
      return rows[0].envelope;
    } finally {
      await client.end();
    }
  }

  // The epoch in which the offsets of the database are valid.
  async logEpoch() {
    return (await this.query('select sealcast.log_epoch() as epoch'))[0].epoch;
  }

  // The txn_ids of a stream's stored messages, one for each row.
  async stored(streamId) {
    const rows = await this.query('select txn_id from sealcast.messages where stream_id = $1', [streamId]);
    return rows.map((row) => row.txn_id);
  }

  async close() {
    await this.#pool.end();
  }
}

// One sealcastd of a private stack.
export class Sidecar {
  log = [];
  #inside;

  constructor(command, settings, inside = []) {
    this.url = `http://${settings.SEALCAST_WORKER_LISTEN ?? settings.SEALCAST_HTTP_LISTEN}`;
    this.holder = settings.SEALCAST_RELAY_HOLDER;
    this.#inside = inside;
    const [program, ...rest] = [...inside, ...command];
    this.process = spawn(program, rest, {
      cwd: '/',
      env: cleanEnvironment(settings),
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    createInterface(this.process.stderr).on('line', (line) => this.log.push(line));
    this.exited = once(this.process, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get running() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async ready(path = '/readyz') {
    await until(
      `${this.url} is ready`,
      async () => {
        if (!this.running) return true;
        const [program, ...rest] = [...this.#inside, 'curl', '-sf', '--max-time', '2', `${this.url}${path}`];
        return run(program, rest);
      },
      60_000,
    ).catch((error) => assert.fail(`${error}\n${this.tail()}`));
    assert(this.running, `sealcastd did not start\n${this.tail()}`);
  }

  tail() {
    return this.log.slice(-40).join('\n');
  }

  async stop() {
    this.process.kill('SIGTERM');
    await this.ended();
  }

  // After SIGTERM the exit code must be 0. A sanitizer reports leaks here.
  async ended() {
    try {
      const end = await within('sealcastd ends after SIGTERM', this.exited, 30_000);
      assert.deepEqual(end, { code: 0, signal: null }, `sealcastd ended with an error\n${this.tail()}`);
    } finally {
      this.process.kill('SIGKILL');
    }
  }
}

// A private Postgres and Redis, made by the scripts in local/, and the sidecars that a test starts.
export class PrivateStack extends System {
  #local;
  #state;
  #children = [];

  // `services` without redis: there is no sidecar then.
  static async create({ services = ['postgres', 'redis'] } = {}) {
    const local = mkdtempSync(join(tmpdir(), 'sealcast-test-'));
    chmodSync(local, 0o755); // when this process is root, the services run as another user
    // Stops the services when this process closes the pipe or ends in any way.
    const cleaner = spawn('bash', ['-c', 'read -r; "$0"; rm -rf "$SEALCAST_LOCAL"', join(root, 'local/down')], {
      env: cleanEnvironment({ SEALCAST_LOCAL: local }),
      stdio: ['pipe', 'ignore', 'inherit'],
      detached: true,
    });
    for (const handle of [cleaner, cleaner.stdin]) handle.unref();
    await run(join(root, 'local/up'), services, { env: cleanEnvironment({ SEALCAST_LOCAL: local }) });
    const described = await inside(
      local,
      `make_private_directory "$STATE/secrets"; install -d "$STATE/bin"; ! [[ -e $1 ]] || install "$1" "$STATE/bin/sealcastd"
       printf '%s\\n' "$STATE" "$SOCKETS" "$DATABASE" "$(running redis && redis_url || echo none)" "$(session_secret)" "$OWNER" "$GROUP"`,
      resolve(process.env.SEALCASTD ?? join(root, 'build/sealcastd')),
    );
    const [state, sockets, database, redisUrl, sessionSecret, owner, group] = described.split('\n');
    return new PrivateStack({ local, state, sockets, database, redisUrl, sessionSecret, owner, group, cleaner });
  }

  constructor(made) {
    super({
      postgres: { host: made.sockets, port: 5432, database: made.database, user: 'postgres' },
      keyring: join(made.state, 'keyring'),
      sessionSecret: made.sessionSecret,
    });
    this.#local = made.local;
    this.#state = made;
  }

  // The directory in which the owner of the services may write.
  get directory() {
    return this.#state.state;
  }

  // Changes a command so that it runs as the owner of the services, and ends with this process at the latest.
  asOwner(...command) {
    const { owner, group } = this.#state;
    const asAnother = [`--reuid=${owner}`, `--regid=${group}`, '--init-groups', '--inh-caps=-all', '--no-new-privs'];
    return ['setpriv', '--pdeathsig=KILL', ...(process.getuid() === 0 ? asAnother : []), '--', ...command];
  }

  // Starts another process as the owner of the services. It ends with the stack at the latest.
  spawn(command, { inside = [], ...options } = {}) {
    const [program, ...rest] = [...inside, ...this.asOwner(...command)];
    const child = spawn(program, rest, { cwd: '/', env: cleanEnvironment(), stdio: 'ignore', ...options });
    this.#children.push(child);
    return child;
  }

  get serviceDsn() {
    const { host, port, database } = this.postgres;
    return `host='${host}' port=${port} dbname=${database} user=sealcast_service`;
  }

  // The gate's Redis, without its password.
  get gateUrl() {
    return `redis://${new URL(this.#state.redisUrl).host}`;
  }

  #settings(port) {
    const { state, sockets } = this.#state;
    return {
      SEALCAST_HTTP_LISTEN: `127.0.0.1:${port}`,
      SEALCAST_POSTGRES_DSN: this.serviceDsn,
      SEALCAST_RELAY_HOLDER: `test-${port}`,
      SEALCAST_GATE_REDIS_URL: this.gateUrl,
      SEALCAST_GATE_REDIS_PASSWORD_FILE: join(state, 'secrets/redis'),
      SEALCAST_GATE_SOCKET: join(sockets, 'gate.sock'),
      SEALCAST_SESSION_HS256_SECRET_FILE: join(state, 'secrets/session'),
    };
  }

  #start(parameters, settings, { inside = [], under = [] } = {}) {
    const command = this.asOwner(...under, join(this.#state.state, 'bin/sealcastd'), ...parameters);
    const sidecar = new Sidecar(command, settings, inside);
    this.#children.push(sidecar.process);
    return sidecar;
  }

  // Starts a sidecar and waits until it is ready. `inside` is a prefix of commands that runs them in the sidecar's namespace.
  async sidecar(settings = {}, inside = []) {
    const sidecar = await this.launch(settings, { inside });
    await sidecar.ready();
    return sidecar;
  }

  // Starts a sidecar. `settings` are SEALCAST_… variables that replace or extend the usual ones. `under` is a command that runs
  // the sidecar, as the owner of the services.
  async launch(settings, { inside = [], under = [] } = {}) {
    return this.#start([], { ...this.#settings(await freePort()), ...settings }, { inside, under });
  }

  // Starts a worker of the group and waits until it answers. `under` is as of launch().
  async worker(group, settings = {}, { under = [] } = {}) {
    const port = await freePort();
    const own = { ...this.#settings(port), SEALCAST_WORKER_LISTEN: `127.0.0.1:${port}` };
    const worker = this.#start(['worker', '--group', group], { ...own, ...settings }, { under });
    await worker.ready('/healthz');
    return worker;
  }

  // Runs `sealcastd replay` to its end; resolves with its output.
  async replay(parameters, settings) {
    const [program, ...rest] = this.asOwner(join(this.#state.state, 'bin/sealcastd'), 'replay', ...parameters);
    return run(program, rest, { cwd: '/', env: cleanEnvironment({ ...this.#settings(0), ...settings }) });
  }

  // The process id of postgres or redis, or null when it does not run.
  async pid(service) {
    return Number(await inside(this.#local, 'pid_of "$1" || true', service)) || null;
  }

  // Sends a signal to postgres or redis: SIGSTOP freezes it, SIGCONT continues it.
  async signal(service, signal) {
    process.kill(await this.pid(service), signal);
  }

  // Stops postgres or redis with the signal; resolves when it has ended.
  async stop(service, signal) {
    await inside(this.#local, 'stop "$1" "$2"', service, signal.replace(/^SIG/, ''));
  }

  async startRedis() {
    await inside(this.#local, 'start redis redis-server "$STATE/redis/redis.conf"; await redis 30 redis_answers');
  }

  // Sends a command to Redis; rejects when Redis refuses it.
  async redis(...command) {
    return inside(
      this.#local,
      'REDISCLI_AUTH=$(redis_password) redis-cli -p "$(port_of redis)" --no-auth-warning -e "$@"',
      ...command,
    );
  }

  // Adds an HMAC secret to the keyring. Postgres uses it after a reload.
  async addKey(kid) {
    await inside(this.#local, 'random_hex | put "$STATE/keyring/$1"', kid);
  }

  // Adds an Ed25519 key pair to the keyring.
  async addKeyPair(kid) {
    await inside(this.#local, 'openssl genpkey -algorithm ed25519 | put "$STATE/keyring/$1.ed25519"', kid);
  }

  // `environment` are variables for the server, NAME=VALUE.
  async startPostgres(...environment) {
    await inside(
      this.#local,
      `bin=$("$PG_CONFIG" --bindir)
       start postgres env "$@" "$SERVER$bin/postgres" -D "$STATE/pgdata"
       await postgres 60 "$bin/pg_isready" -h "$SOCKETS" -p 5432 -U postgres`,
      ...environment,
    );
  }

  // Makes a standby and starts it. Its `postgres` and `serviceDsn` are like those of the stack; `eitherDsn` finds the one of both
  // servers that accepts writes. detach() ends the replication, and stop() the standby.
  async standby() {
    const { state, sockets } = this.#state;
    const directory = join(state, 'standby');
    const port = this.postgres.port + 1; // only the name of a socket in the private directory
    const bin = await inside(this.#local, 'make_private_directory "$1"; "$PG_CONFIG" --bindir', directory);
    const [program, ...rest] = this.asOwner(join(bin, 'pg_basebackup'), '-h', sockets, '-U', 'postgres', '-D', directory, '-R', '-c', 'fast');
    await run(program, rest, { cwd: '/', env: cleanEnvironment() });
    const server = this.spawn([join(state, 'postgresql', bin, 'postgres'), '-D', directory, '-c', `port=${port}`]);
    const ended = once(server, 'close');
    await until('the standby answers', () => run(join(bin, 'pg_isready'), ['-h', sockets, '-p', String(port)]), 60_000);
    const postgres = { ...this.postgres, port };
    const query = async (sql) => {
      const client = await this.connect(postgres);
      return client.query(sql).finally(() => client.end());
    };
    return {
      postgres,
      serviceDsn: this.serviceDsn.replace(/port=\d+/, `port=${port}`),
      eitherDsn: this.serviceDsn.replace(/host='(.*?)' port=(\d+)/, `host='$1,$1' port=$2,${port}`) + ' target_session_attrs=read-write',
      query,
      detach: async () => {
        await query("alter system set primary_conninfo = ''");
        await query('select pg_reload_conf()');
        await until('the standby receives nothing', async () => (await query('select from pg_stat_wal_receiver')).rowCount === 0);
      },
      stop: async () => {
        server.kill('SIGINT');
        await ended;
      },
    };
  }

  // Archives the WAL from now on, and makes a base backup. recover() makes it the database, with the WAL up to the restore point.
  async backUp() {
    const { state, sockets } = this.#state;
    const [base, wal] = [join(state, 'base'), join(state, 'wal')];
    const bin = await inside(this.#local, 'make_private_directory "$1"; make_private_directory "$2"; "$PG_CONFIG" --bindir', base, wal);
    await this.query('alter system set archive_mode = on');
    await this.query(`alter system set archive_command = 'cp %p ${wal}/%f'`);
    await this.stop('postgres', 'SIGINT');
    await this.startPostgres();
    const [program, ...rest] = this.asOwner(join(bin, 'pg_basebackup'), '-h', sockets, '-U', 'postgres', '-D', base, '-c', 'fast');
    await run(program, rest, { cwd: '/', env: cleanEnvironment() });
    return { base, wal };
  }

  // Point-in-time recovery to a point of pg_create_restore_point(), while everything else runs on.
  async recover({ base, wal }, point) {
    const data = join(this.#state.state, 'pgdata');
    const [{ segment }] = await this.query('select pg_walfile_name(pg_switch_wal()) as segment');
    await until('the WAL is archived', () => existsSync(join(wal, segment)));
    await this.stop('postgres', 'SIGINT');
    rmSync(data, { recursive: true });
    await run('cp', ['-a', base, data]);
    const settings = [`restore_command = 'cp ${wal}/%f %p'`, `recovery_target_name = '${point}'`, "recovery_target_action = 'promote'"];
    appendFileSync(join(data, 'postgresql.auto.conf'), `${settings.join('\n')}\n`);
    await run('cp', ['-a', join(data, 'PG_VERSION'), join(data, 'recovery.signal')]); // only its name and its owner matter
    await this.startPostgres();
    await until('the recovery has ended', async () => !(await this.query('select pg_is_in_recovery() as recovering'))[0].recovering);
  }

  // Copies the data directory while Postgres is stopped. setBack() makes the copy the database again, without a recovery.
  async snapshot() {
    const { state } = this.#state;
    const copy = join(state, `snapshot-${randomUUID()}`);
    await this.stop('postgres', 'SIGINT');
    await run('cp', ['-a', join(state, 'pgdata'), copy]);
    await this.startPostgres();
    return copy;
  }

  async setBack(copy) {
    const data = join(this.#state.state, 'pgdata');
    await this.stop('postgres', 'SIGINT');
    rmSync(data, { recursive: true });
    await run('cp', ['-a', copy, data]);
    await this.startPostgres();
  }

  // Kills Postgres and promotes the standby, to which all statements go from then on.
  async failOver(standby) {
    await this.stop('postgres', 'SIGKILL');
    await standby.query('select pg_promote()');
    await this.use(standby.postgres);
  }

  // Dumps the database into a file of the stack, and resolves with the name of the file.
  async dump() {
    const file = join(tmpdir(), `sealcast-dump-${randomUUID()}`);
    const { host, database, user } = this.postgres;
    await run('pg_dump', ['-Fc', `--host=${host}`, `--username=${user}`, `--file=${file}`, database], { env: cleanEnvironment() });
    return file;
  }

  // Replaces the database by the dump, while everything else runs on. The settings of the database are kept.
  async restore(file) {
    const { host, database, user } = this.postgres;
    const at = [`--host=${host}`, `--username=${user}`];
    const settings = await this.query(
      `select format('alter database %I set %s to %L', current_database(), split_part(entry, '=', 1),
                     substr(entry, strpos(entry, '=') + 1)) as statement
       from pg_db_role_setting, unnest(setconfig) entry
       where setdatabase = (select oid from pg_database where datname = current_database()) and setrole = 0`,
    );
    const server = await this.connect({ database: 'template1' });
    try {
      await server.query(`drop database ${database} with (force)`);
      await server.query(`create database ${database}`);
      for (const { statement } of settings) await server.query(statement);
    } finally {
      await server.end();
    }
    // In one transaction: the sidecar sees the whole database, or none.
    await run('pg_restore', ['--exit-on-error', '--single-transaction', ...at, `--dbname=${database}`, file], { env: cleanEnvironment() });
    rmSync(file);
    await this.query('call sealcast.run_maintenance()');
  }

  // The process ids of the backends of sealcast_service that match the condition `sql`.
  async backends(sql = 'true') {
    const rows = await this.query(`select pid from pg_stat_activity where usename = 'sealcast_service' and ${sql}`);
    return rows.map((row) => row.pid);
  }

  // Kills the programs that a test has started and left, and waits for their ends.
  async killPrograms() {
    const left = this.#children.filter(({ pid, exitCode, signalCode }) => pid && exitCode === null && signalCode === null);
    this.#children = [];
    for (const child of left) child.kill('SIGKILL');
    await Promise.all(left.map((child) => once(child, 'exit')));
  }

  async close() {
    await this.killPrograms();
    await super.close();
    const { cleaner } = this.#state;
    cleaner.ref();
    cleaner.stdin.end();
    await once(cleaner, 'close');
  }
}

// Runs a piece of bash with the functions of local/, for one stack.
async function inside(local, script, ...parameters) {
  const sources = ['stack', 'postgres', 'redis', 'sealcastd'].map((name) => `. "${root}/local/${name}.sh"`).join('; ');
  const { stdout } = await run('bash', ['-c', `${sources}; ${script}`, 'bash', ...parameters], {
    env: cleanEnvironment({ SEALCAST_LOCAL: local }),
  });
  return stdout.trimEnd();
}

// The stack that the variables of .local/env describe (tests/with_stack.sh sets them), or without them a private one with a sidecar.
export async function sharedStack() {
  const { SEALCAST_URL, SEALCAST_KEYRING, SEALCAST_JWT_SECRET, PGHOST, PGPORT, PGDATABASE, PGUSER } = process.env;
  if (!SEALCAST_URL) {
    const stack = await PrivateStack.create();
    stack.url = (await stack.sidecar()).url;
    return stack;
  }
  return new System({
    url: SEALCAST_URL,
    postgres: { host: PGHOST, port: Number(PGPORT), database: PGDATABASE, user: PGUSER },
    keyring: SEALCAST_KEYRING,
    sessionSecret: SEALCAST_JWT_SECRET,
  });
}
