// Two Postgres servers: a primary, and a standby that gets its WAL through a link, asynchronously. Some faults take the
// history of the primary back: a failover to the standby that lags behind, and a point-in-time recovery.
import { execFile } from 'node:child_process';
import { appendFileSync, existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Proxy } from '../../client/proxy.mjs';
import { until } from '../../integration/waiting.mjs';
import { PostgresServer, makeDirectory } from './postgres_server.mjs';

const run = promisify(execFile);
const LIMIT_MS = 60_000;
const POINT = 'before';

export class PostgresPair {
  // {from, to}: a message whose answer came after `from`, and that was sent before `to`, may be lost. Times are ms of
  // performance.now().
  losses = [];
  #links = new Map(); // server → the link through which its standby reads

  // Takes the place of the stack's Postgres. `disks` are two directories.
  static async start(stack, disks, environment) {
    const pair = Object.assign(new PostgresPair(), { stack, base: join(stack.directory, 'base'), wal: join(stack.directory, 'wal') });
    const { port } = stack.postgres;
    pair.servers = disks.map((disk, i) => new PostgresServer(stack, disk, port + i, environment)); // the port is only in the name of a socket
    [pair.primary, pair.standby] = pair.servers;
    makeDirectory(stack, pair.wal);
    const old = join(stack.directory, 'pgdata');
    await stack.stop('postgres', 'SIGINT');
    const settings = [
      ...['max_wal_size = 64MB', 'min_wal_size = 32MB', 'wal_keep_size = 64MB'], // leave most of the disk to data
      ...['wal_retrieve_retry_interval = 200ms', 'archive_mode = on', `archive_command = 'cp %p ${pair.wal}/%f.part && mv ${pair.wal}/%f.part ${pair.wal}/%f'`],
    ];
    appendFileSync(join(old, 'postgresql.conf'), settings.map((line) => `${line}\n`).join(''));
    await run('cp', ['-a', old, pair.primary.data]);
    for (const server of pair.servers) pair.#links.set(server, await Proxy.to('tcp://postgres', { path: server.socket }));
    await pair.primary.start();
    await pair.#makeStandby();
    return pair;
  }

  async #makeStandby() {
    const { primary, standby } = this;
    await standby.switchOff();
    await primary.backUp(standby.data);
    await standby.startRecovery('standby', [`primary_conninfo=host=127.0.0.1 port=${this.#links.get(primary).port} user=postgres`]);
    await this.#inStep();
  }

  // Waits until the standby has what the primary has now. Returns the time before that.
  async #inStep() {
    const began = performance.now();
    const [{ lsn }] = await this.primary.query('select pg_current_wal_insert_lsn() as lsn');
    const received = `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= '${lsn}' as done`;
    await until('the standby is in step', async () => (await this.standby.query(received))[0].done, LIMIT_MS);
    return began;
  }

  async inject(fault) {
    await this.primary.start(); // it may still recover from the last fault
    return {
      kill: () => this.#kill(),
      freeze: () => this.#freeze(),
      'kill-backend': () => this.#killBackend(),
      'fill-disk': () => this.#fillDisk(),
      failover: () => this.#failOver(),
      'point-in-time': () => this.#recover(),
    }[fault]();
  }

  async #kill() {
    const { primary } = this;
    await primary.kill();
    return () => primary.start();
  }

  async #freeze() {
    const frozen = await this.primary.freeze();
    return () => {
      // The postmaster is the last: it forgets the children that had ended, and then there is no such process.
      for (const pid of frozen.reverse()) process.kill(pid, 'SIGCONT');
    };
  }

  async #killBackend() {
    const [serving] = await this.stack.backends();
    if (serving) process.kill(serving, 'SIGKILL');
    return () => {};
  }

  async #fillDisk() {
    const { primary } = this;
    const filler = join(primary.disk, 'filler');
    await run('sh', ['-c', 'cat /dev/zero > "$0" || test -s "$0"', filler]); // ends when the disk is full
    return async () => {
      rmSync(filler);
      await primary.start(); // it may have ended: it cannot write WAL to a full disk
    };
  }

  // The standby lags behind while the fault lasts. Then it takes the place of the primary, whose machine ends.
  async #failOver() {
    const { primary, standby } = this;
    const link = this.#links.get(primary);
    const from = await this.#inStep();
    link.hold();
    return async () => {
      await primary.switchOff();
      this.losses.push({ from, to: performance.now() });
      link.lose();
      await standby.query('select pg_promote()');
      [this.primary, this.standby] = [standby, primary];
      await this.stack.use(standby.postgres);
      await standby.untilRecovered();
      await this.#makeStandby();
    };
  }

  // Base backup, restore point; when the fault is removed, the primary is replaced by the backup with the WAL up to the point.
  async #recover() {
    const { primary, standby, wal } = this;
    await primary.backUp(this.base);
    const from = performance.now();
    await primary.query(`select pg_create_restore_point('${POINT}')`);
    const [{ segment }] = await primary.query('select pg_walfile_name(pg_switch_wal()) as segment');
    await until('the WAL is archived', () => existsSync(join(wal, segment)), LIMIT_MS);
    return async () => {
      await standby.switchOff();
      await primary.switchOff();
      this.losses.push({ from, to: performance.now() });
      rmSync(primary.data, { recursive: true });
      await run('cp', ['-a', this.base, primary.data]);
      const target = [`recovery_target_name=${POINT}`, 'recovery_target_action=promote', 'recovery_target_timeline=current'];
      await primary.startRecovery('recovery', [`restore_command=cp ${wal}/%f %p`, ...target]);
      await primary.untilRecovered();
      await this.#makeStandby();
    };
  }

  async close() {
    for (const link of this.#links.values()) await link.close();
  }
}
