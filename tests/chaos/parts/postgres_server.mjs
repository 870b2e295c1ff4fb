// One Postgres server with a disk of its own. It may be started, killed, frozen, and replaced by a base backup.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../../integration/waiting.mjs';

const run = promisify(execFile);
const LIMIT_MS = 60_000;
const BIN = (await run(process.env.PG_CONFIG ?? 'pg_config', ['--bindir'])).stdout.trim();

// Makes an empty directory that belongs to the owner of the services.
export function makeDirectory(stack, directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { mode: 0o700 });
  const { uid, gid } = statSync(join(stack.directory, 'pgdata'));
  chownSync(directory, uid, gid);
}

export class PostgresServer {
  #process;

  // `disk` is a directory. `environment` are variables for the server, NAME=VALUE.
  constructor(stack, disk, port, environment) {
    Object.assign(this, { stack, disk, environment, data: join(disk, 'pgdata'), postgres: { ...stack.postgres, port } });
    this.socket = join(stack.postgres.host, `.s.PGSQL.${port}`);
  }

  get pid() {
    return this.#process?.exitCode === null && this.#process.signalCode === null ? this.#process.pid : null;
  }

  // Starts the server, when it does not run. The processes of a killed server keep its shared memory for a moment.
  async start(settings = []) {
    const { postgres: { host, port }, stack } = this;
    await until('Postgres starts', async () => {
      if (!this.pid) {
        const options = [`port=${port}`, ...settings].flatMap((setting) => ['-c', setting]);
        const log = openSync(join(stack.directory, 'log', `postgres-${port}.log`), 'a');
        const program = join(stack.directory, 'postgresql', BIN, 'postgres');
        this.#process = stack.spawn(['env', ...this.environment, program, '-D', this.data, ...options], { stdio: ['ignore', log, log] });
      }
      return run(join(BIN, 'pg_isready'), ['-h', host, '-p', `${port}`]);
    }, LIMIT_MS);
  }

  // Starts the server in a recovery that `signal` describes: standby or recovery.
  async startRecovery(signal, settings) {
    const file = join(this.data, `${signal}.signal`);
    writeFileSync(file, '');
    const { uid, gid } = statSync(this.data);
    chownSync(file, uid, gid);
    await this.start(settings);
  }

  get processes() {
    const { pid } = this;
    if (!pid) return [];
    return [pid, ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').map(Number).filter(Boolean)];
  }

  // Kills the postmaster. Its child processes end soon.
  async kill() {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  // Stops all processes. The postmaster is the first, so that none starts or goes meanwhile. Returns them.
  async freeze() {
    const { pid } = this;
    process.kill(pid, 'SIGSTOP');
    await until('the postmaster is stopped', () => stateOf(pid) === 'T');
    const { processes } = this;
    for (const pid of processes) process.kill(pid, 'SIGSTOP');
    return processes;
  }

  // Ends all processes of the server, as a machine that is switched off: none commits anything later.
  async switchOff() {
    if (!this.pid) return;
    const [, ...children] = await this.freeze();
    for (const pid of children) process.kill(pid, 'SIGKILL');
    await this.kill();
    await until('the processes of Postgres have ended', () => !children.some(alive), LIMIT_MS);
  }

  async query(sql) {
    const client = await this.stack.connect(this.postgres);
    return client.query(sql).then(({ rows }) => rows).finally(() => client.end());
  }

  // Copies the running server into a directory.
  async backUp(directory) {
    makeDirectory(this.stack, directory);
    const { host, port, user } = this.postgres;
    const [program, ...rest] = this.stack.asOwner(join(BIN, 'pg_basebackup'), '-h', host, '-p', `${port}`, '-U', user, '-D', directory, '-c', 'fast', '--no-sync');
    await run(program, rest, { cwd: '/' });
  }

  async untilRecovered() {
    await until('the recovery has ended', async () => !(await this.query('select pg_is_in_recovery() as recovering'))[0].recovering, LIMIT_MS);
  }
}

function stateOf(pid) {
  try {
    return /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  } catch {
    return undefined; // there is no such process
  }
}

const alive = (pid) => ![undefined, 'Z'].includes(stateOf(pid));
