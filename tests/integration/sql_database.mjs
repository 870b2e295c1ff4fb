// A database of a test's own in the running server, with the extension in it and no sidecar that relays it.
import { randomUUID } from 'node:crypto';
import pg from 'pg';

export class Database {
  #clients = [];

  static async create({ extension = true } = {}) {
    const database = new Database(`sealcast_test_${randomUUID().slice(0, 8)}`);
    await Database.#asNeighbour((client) => client.query(`create database ${database.name}`));
    if (extension) {
      const client = await database.connect();
      await client.query('create extension sealcast');
      await client.query('select sealcast.maintain()');
    }
    return database;
  }

  constructor(name) {
    this.name = name;
  }

  // Where it is and who one is there, PG… in the environment says.
  async connect() {
    const client = new pg.Client({ database: this.name });
    client.on('error', () => {}); // a test may have a backend ended
    await client.connect();
    await client.query('set sealcast.gate = off');
    this.#clients.push(client);
    return client;
  }

  async drop() {
    await Promise.allSettled(this.#clients.map((client) => client.end()));
    await Database.#asNeighbour((client) => client.query(`drop database if exists ${this.name} with (force)`));
  }

  static async #asNeighbour(work) {
    const client = new pg.Client();
    await client.connect();
    try {
      await work(client);
    } finally {
      await client.end();
    }
  }
}

export async function makeStreams(client, count) {
  const ids = Array.from({ length: count }, () => randomUUID());
  await client.query('insert into sealcast.streams (stream_id) select unnest($1::uuid[])', [ids]);
  return ids;
}

// One batch through admit(); each item is { stream, sender, t, d, txn }.
export async function admit(client, items) {
  const { rows } = await client.query('select * from sealcast.admit($1, $2, $3, $4, $5)', [
    items.map((item) => item.stream),
    items.map((item) => item.t ?? 'chat'),
    items.map((item) => item.sender),
    items.map((item) => item.txn ?? randomUUID()),
    items.map((item) => JSON.stringify(item.d ?? {})),
  ]);
  return rows;
}

// A relay's side: it claims, and drains what it holds.
export class Holder {
  constructor(client, name) {
    this.client = client;
    this.name = name;
    this.mine = [];
  }

  async claim(leaseMs) {
    const { rows } = await this.client.query('select * from sealcast.claim_shards($1, $2)', [this.name, leaseMs]);
    this.mine = rows.filter((row) => row.mine);
    return this.mine.length;
  }

  // The messages of one drain; null when nothing was left.
  async drain(maxRows) {
    const { rows } = await this.client.query('select * from sealcast.drain($1, $2, $3, $4)', [
      this.name,
      this.mine.map((row) => row.shard),
      this.mine.map((row) => row.epoch),
      maxRows,
    ]);
    return rows.length === 0 ? null : rows.filter((row) => row.stream_id !== null);
  }
}

// A worker's side: it claims the one partition of a group, applies what it is given to the group's handler, which has the
// group's name, and notes how far the partition is finished.
export class Worker {
  constructor(client, name, group) {
    this.client = client;
    this.name = name;
    this.group = group;
    this.epoch = null;
  }

  // Whether it holds the partition now.
  async claim(leaseMs) {
    const { rows } = await this.client.query('select * from sealcast.claim_partitions($1, $2, $3, 1)', [this.group, this.name, leaseMs]);
    if (rows[0].mine) this.epoch = rows[0].epoch;
    return rows[0].mine;
  }

  // The outcomes; null when the lease is somebody else's.
  async apply(envelopes) {
    const { rows } = await this.client.query('select * from sealcast.apply_events($1, $1, 0, $2, $3, $4, $5)', [
      this.group,
      this.epoch,
      envelopes,
      envelopes.map((_, i) => i + 1),
      envelopes.map((_, i) => `${i + 1}-0`),
    ]);
    return rows.length === 0 ? null : rows.map((row) => row.outcome);
  }

  async finish(through) {
    await this.client.query('select sealcast.finish_partitions($1, array[0], array[$2::bigint], array[$3::bigint], 0)', [this.group, this.epoch, through]);
  }
}
