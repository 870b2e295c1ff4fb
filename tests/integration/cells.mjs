// Two cells for tests: two databases of one private server, each with a sidecar. Together they hold all streams.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort, PrivateStack } from './stack.mjs';

const [moveStream, forgetStream] = ['move_stream', 'forget_stream.sql'].map((name) =>
  fileURLToPath(new URL(`../../docs/examples/${name}`, import.meta.url)),
);
const run = promisify(execFile);

export class Cells {
  static async create() {
    const cells = new Cells();
    const stack = (cells.stack = await PrivateStack.create());
    await stack.query('create database sealcast_b');
    cells.a = new Cell('a', stack, stack.postgres.database, `127.0.0.1:${await freePort()}`);
    cells.b = new Cell('b', stack, 'sealcast_b', `127.0.0.1:${await freePort()}`);
    await cells.b.query('create extension sealcast');
    await cells.b.query('select sealcast.begin_log_epoch($1)', [await stack.logEpoch()]);
    for (const cell of cells.all) {
      await cell.query('insert into sealcast.cells select * from unnest($1::text[], $2::text[])', [
        cells.all.map(({ name }) => name),
        cells.all.map(({ url }) => url),
      ]);
      await cell.query(`alter database ${cell.database} set sealcast.cell = '${cell.name}'`);
    }
    await Promise.all(cells.all.map((cell) => cell.start()));
    return cells;
  }

  get all() {
    return [this.a, this.b];
  }

  // Makes a further cell, which no sidecar serves and the other cells do not know.
  async withoutSidecar(name) {
    const cell = new Cell(name, this.stack, `sealcast_${name}`, '127.0.0.1:1');
    await this.stack.query(`create database ${cell.database}`);
    await this.stack.query(`alter database ${cell.database} set sealcast.cell = '${name}'`);
    await cell.query('create extension sealcast');
    await cell.query('insert into sealcast.cells select * from unnest($1::text[], $2::text[])', [
      [...this.all, cell].map((each) => each.name),
      [...this.all, cell].map(({ url }) => url),
    ]);
    return cell;
  }

  // Makes a stream that belongs to the cell by its hash.
  async stream(cell) {
    for (;;) {
      const streamId = randomUUID();
      const [{ of }] = await cell.query('select sealcast.cell_of($1) as of', [streamId]);
      if (of !== cell.name) continue;
      await cell.query('insert into sealcast.streams (stream_id) values ($1)', [streamId]);
      return streamId;
    }
  }

  // Moves a stream with the script for operators.
  async move(streamId, from, to) {
    const { stdout } = await run(moveStream, [streamId, to.name, from.dsn, to.dsn]);
    assert.match(stdout, /^stream .* is in cell/);
  }

  async forget(streamId, cell) {
    await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', `stream=${streamId}`, '-d', cell.dsn, '-f', forgetStream]);
  }

  async close() {
    await Promise.all(this.all.map((cell) => cell.close()));
    await this.stack.close();
  }
}

class Cell {
  #pool;

  constructor(name, stack, database, listen) {
    Object.assign(this, { name, stack, database, listen, url: `http://${listen}` });
    this.#pool = new pg.Pool({ ...stack.postgres, database, max: 2 });
  }

  get dsn() {
    const { host, port, user } = this.stack.postgres;
    return `host='${host}' port=${port} dbname=${this.database} user=${user}`;
  }

  async query(sql, parameters) {
    return (await this.#pool.query(sql, parameters)).rows;
  }

  async stored(streamId) {
    const rows = await this.query('select txn_id from sealcast.messages where stream_id = $1', [streamId]);
    return rows.map((row) => row.txn_id);
  }

  async start() {
    this.sidecar = await this.stack.sidecar({
      SEALCAST_HTTP_LISTEN: this.listen,
      SEALCAST_POSTGRES_DSN: `${this.stack.serviceDsn.replace(/dbname=\S+/, `dbname=${this.database}`)}`,
      SEALCAST_GATE_SOCKET: '',
      SEALCAST_HTTP_CORS_ORIGINS: '*',
    });
  }

  close() {
    return this.#pool.end();
  }
}
