// The event plane for tests: a sidecar, a Redis, workers, and a handler. The handler counts the messages of each user in each stream,
// and how many came out of order. It fails or hangs for messages whose content is in shop.broken.
import assert from 'node:assert/strict';
import { RedisTarget } from './redis_target.mjs';
import { PrivateStack } from './stack.mjs';
import { until } from './waiting.mjs';

const definition = `
  create role shop;
  create schema shop authorization shop;
  create table shop.tally (sender_id uuid, stream_id uuid, n bigint, total bigint, last bigint, disorder integer,
                           primary key (sender_id, stream_id));
  create table shop.broken (content text);
  create sequence shop.tries owned by shop.broken.content;
  alter table shop.tally owner to shop;
  alter table shop.broken owner to shop;
  grant usage on schema sealcast to shop;
  create function shop.count(e sealcast.event) returns void language plpgsql security definer
    set search_path = pg_catalog, pg_temp as $$
  begin
    if exists (select from shop.broken b where b.content = e.d ->> 'content') then
      if e.d ->> 'content' = 'slow' then perform pg_sleep(60); end if;
      raise exception 'it cannot take %', e.d ->> 'content';
    end if;
    -- A rollback does not reset a sequence, so it counts the attempts.
    if e.d ->> 'content' = 'meets others' and nextval('shop.tries') < 3 then
      raise exception 'a deadlock' using errcode = 'deadlock_detected';
    end if;
    insert into shop.tally as t values (e.sender_id, e.stream_id, 1, (e.d ->> 'amount')::bigint, e."offset", 0)
    on conflict (sender_id, stream_id) do update
      set n = t.n + 1, total = t.total + excluded.total, last = greatest(t.last, excluded.last),
          disorder = t.disorder + (excluded.last <= t.last)::integer;
  end $$;
  alter function shop.count owner to shop;
  revoke all on function shop.count from public;
  grant usage on schema shop to sealcast_service;
  grant execute on function shop.count to sealcast_service`;

export class EventPlane {
  workers = [];

  // `startRedis` starts the Redis of the event partitions; `settings` are variables of the sidecar, or a function of that Redis.
  static async create(settings = {}, startRedis = (stack) => RedisTarget.start(stack)) {
    const plane = new EventPlane();
    plane.stack = await PrivateStack.create();
    plane.redis = await startRedis(plane.stack);
    plane.settings = {
      SEALCAST_REDIS_EVENTS_URL: plane.redis.url,
      SEALCAST_REDIS_EVENTS_PARTITIONS: '4',
      SEALCAST_REDIS_EVENTS_TRIM_MS: '200',
      SEALCAST_WORKER_LEASE_MS: '1000',
      ...(typeof settings === 'function' ? settings(plane.redis) : settings),
    };
    await plane.stack.query(definition);
    await plane.register('tally');
    plane.sidecar = await plane.stack.sidecar(plane.settings);
    await until('the transport has begun', async () => {
      const rows = await plane.stack.query("select from sealcast.delivery_status where transport = 'redis_events'");
      return rows.length > 0;
    });
    return plane;
  }

  async register(name, { t = 'chat', group = 'default', attempts = 3, timeout = '30 s', batch = 100 } = {}) {
    await this.stack.query('select sealcast.register_handler($1, $2, $3, $4, $5, $6::interval, $7)', [
      name, t, 'shop.count(sealcast.event)', batch, attempts, timeout, group,
    ]);
  }

  async worker(group = 'default') {
    const worker = await this.stack.worker(group, this.settings);
    this.workers.push(worker);
    return worker;
  }

  // Admits messages as the sidecar would: each content once for each user. The same keys again admit nothing.
  async say(room, users, contents, keys, t = 'chat') {
    const senders = contents.flatMap(() => users.map(({ id }) => id));
    const payloads = contents.flatMap((content, i) => users.map(() => JSON.stringify({ content, amount: i + 1 })));
    const rows = await this.stack.query(
      `select status from sealcast.admit(array_fill($1::uuid, array[$4::int]), array_fill($6::text, array[$4::int]), $2::uuid[],
         coalesce($5::uuid[], array(select gen_random_uuid() from generate_series(1, $4::int))), $3::text[])`,
      [room, senders, payloads, senders.length, keys ?? null, t],
    );
    assert(rows.every(({ status }) => status === 200));
  }

  // The problems that check_effects() finds, as { problem: count }.
  async problems(handler = 'tally') {
    const rows = await this.stack.query('select problem, count(*)::int from sealcast.check_effects($1, max_rows => 1000000) group by 1', [handler]);
    return Object.fromEntries(rows.map(({ problem, count }) => [problem, count]));
  }

  // Waits until every message has its effect, except the problems in `expected`.
  async untilApplied(expected = {}, limit = 120_000) {
    const problems = async () => {
      const found = JSON.stringify(await this.problems());
      if (found !== JSON.stringify(expected)) throw new Error(`problems: ${found}`);
      return true;
    };
    await until('every message has its effect', problems, limit);
  }

  // Compares the counts of the handler with the messages, and checks that no event came out of order.
  async balances({ inOrder = true } = {}) {
    const [{ wrong, disorder }] = await this.stack.query(
      `select (select count(*)::int from
         (select m.sender_id, m.stream_id, count(*), sum((m.d::json ->> 'amount')::bigint) from sealcast.messages m
          where m.t = 'chat' and not exists (select from sealcast.event_dead_letters d where d.sender_id = m.sender_id and d.txn_id = m.txn_id)
          group by 1, 2) a
         full join (select sender_id, stream_id, n, total from shop.tally) b using (sender_id, stream_id)
         where (a.count, a.sum) is distinct from (b.n, b.total)) as wrong,
        (select coalesce(sum(t.disorder), 0)::int from shop.tally t) as disorder`,
    );
    assert.deepEqual({ wrong, disorder: inOrder ? disorder : 0 }, { wrong: 0, disorder: 0 });
  }

  async partitionsOf(holder) {
    const rows = await this.stack.query(
      `select count(*)::int from sealcast_internal.event_leases where group_name = 'default' and holder like $1 and lease_until > clock_timestamp()`,
      [`${holder}/%`],
    );
    return rows[0].count;
  }

  async close() {
    await this.sidecar?.stop();
    await this.stack?.close();
  }
}
