// A separate database for a test in the running server, with the extension installed and no sidecar.
import { randomUUID } from 'node:crypto';
import pg from 'pg';

export class Database {
  #clients = [];

  static async create({ extension = true } = {}) {
    const database = new Database(`sealcast_test_${randomUUID().slice(0, 8)}`);
    await Database.#onDefaultDatabase((client) => client.query(`create database ${database.name}`));
    if (extension) {
      const client = await database.connect();
      await client.query('create extension sealcast');
      await maintain(client);
    }
    return database;
  }

  constructor(name) {
    this.name = name;
  }

  // The PG… variables of the environment name the server and the user.
  async connect() {
    const client = new pg.Client({ database: this.name });
    client.on('error', () => {}); // a test may terminate a backend
    await client.connect();
    await client.query('set sealcast.gate = off');
    this.#clients.push(client);
    return client;
  }

  async drop() {
    await Promise.allSettled(this.#clients.map((client) => client.end()));
    await Database.#onDefaultDatabase((client) => client.query(`drop database if exists ${this.name} with (force)`));
  }

  static async #onDefaultDatabase(work) {
    const client = new pg.Client();
    await client.connect();
    try {
      await work(client);
    } finally {
      await client.end();
    }
  }
}

// Does maintenance to its end; resolves with its actions.
export async function maintain(client) {
  for (const done = []; ;) {
    const { rows } = await client.query('select action, object from sealcast.maintain()');
    done.push(...rows.filter((row) => row.action !== 'unfinished'));
    if (rows.at(-1)?.action !== 'unfinished') return done;
  }
}

export async function makeStreams(client, count) {
  const ids = Array.from({ length: count }, () => randomUUID());
  await client.query('insert into sealcast.streams (stream_id) select unnest($1::uuid[])', [ids]);
  return ids;
}

// Admits one batch; each item is { stream, sender, t, d, txn }.
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

// A relay: it acquires the leases of shards and drains the shards that it leads.
export class Holder {
  constructor(client, name) {
    this.client = client;
    this.name = name;
    this.mine = [];
  }

  async claim(leaseMs) {
    const { rows } = await this.client.query('select * from sealcast_internal.claim_shards($1, $2)', [this.name, leaseMs]);
    this.mine = rows.filter((row) => row.mine);
    return this.mine.length;
  }

  // The messages of one drain, or null when there was none.
  async drain(maxRows) {
    const { rows } = await this.client.query('select * from sealcast_internal.drain($1, $2, $3, $4)', [
      this.name,
      this.mine.map((row) => row.shard),
      this.mine.map((row) => row.epoch),
      maxRows,
    ]);
    return rows.length === 0 ? null : rows.filter((row) => row.stream_id !== null);
  }
}

// A worker: it claims the only partition of a group, applies events with the group's handler, which has the name of the group, and
// records how far the partition is finished.
export class Worker {
  constructor(client, name, group) {
    this.client = client;
    this.name = name;
    this.group = group;
    this.epoch = null;
  }

  // Resolves with whether it holds the partition now.
  async claim(leaseMs) {
    const { rows } = await this.client.query('select * from sealcast_internal.claim_partitions($1, $2, $3, 1)', [this.group, this.name, leaseMs]);
    if (rows[0].mine) this.epoch = rows[0].epoch;
    return rows[0].mine;
  }

  // Resolves with the outcomes, or with null when another worker has the lease.
  async apply(envelopes) {
    const { rows } = await this.client.query('select * from sealcast_internal.apply_events($1, $1, 0, $2, $3, $4, $5)', [
      this.group,
      this.epoch,
      envelopes,
      envelopes.map((_, i) => i + 1),
      envelopes.map((_, i) => `${i + 1}-0`),
    ]);
    return rows.length === 0 ? null : rows.map((row) => row.outcome);
  }

  async finish(through) {
    const finished = [this.group, [this.epoch], [through]];
    await this.client.query("select sealcast_internal.finish_partitions($1, '{0}', $2, $3, 0)", finished);
  }
}
