// The event plane: a Redis with the event partitions, a handler that records each call in chaos.effects, and workers. The
// fault takes the Redis back to older data, while the sidecar that leads most shards is dead: another one leads.
import { RedisTarget } from '../../integration/redis_target.mjs';
import { until } from '../../integration/waiting.mjs';

const LIMIT_MS = 60_000;
const PARTITIONS = 4;
const GROUP = 'default';

const definition = `
  create schema chaos;
  create table chaos.effects (sender_id uuid, txn_id uuid);
  create function chaos.record(e sealcast.event) returns void
    language sql security definer set search_path = pg_catalog, pg_temp
  begin atomic
    insert into chaos.effects values (e.sender_id, e.txn_id);
  end;
  revoke all on function chaos.record from public;
  grant usage on schema chaos to sealcast_service;
  grant execute on function chaos.record to sealcast_service`;

export class EventPlane {
  workers = [];

  // `leaders` has killLeader(): it kills the sidecar that leads most shards, and returns a function that starts it again.
  static async start(stack, leaders) {
    const plane = Object.assign(new EventPlane(), { stack, leaders });
    plane.redis = await RedisTarget.start(stack, ['--auto-aof-rewrite-percentage', '0']);
    await stack.query(definition);
    // Other faults last for seconds, and a failed attempt must bury no event.
    await stack.query("select sealcast.register_handler('chaos', 'chat', 'chaos.record(sealcast.event)', max_attempts => 100, timeout => '30 s')");
    return plane;
  }

  get settings() {
    return { SEALCAST_REDIS_EVENTS_URL: this.redis.url, SEALCAST_REDIS_EVENTS_PARTITIONS: `${PARTITIONS}`, SEALCAST_REDIS_EVENTS_TRIM_MS: '500' };
  }

  async startWorker(settings, under) {
    const worker = await this.stack.worker(GROUP, settings, { under });
    this.workers.push(worker);
    return worker;
  }

  // The newest entry of each partition.
  async newest() {
    const ids = [];
    for (let n = 0; n < PARTITIONS; n++) {
      ids.push((await this.redis.command('xinfo', 'stream', `sealcast:events:${n}`))['last-generated-id']);
    }
    return ids;
  }

  // The workers are slow while the fault lasts: Redis loses events that have had no effects.
  async inject() {
    const signal = (name) => this.workers.forEach((worker) => worker.process.kill(name));
    signal('SIGSTOP');
    const copy = await this.redis.copyData();
    return async () => {
      try {
        const startAgain = await this.leaders.killLeader();
        await this.redis.stop('SIGKILL');
        await this.redis.startFrom(copy);
        await startAgain();
      } finally {
        signal('SIGCONT');
      }
    };
  }

  async effects() {
    const rows = await this.stack.query('select sender_id, txn_id, count(*)::int as times from chaos.effects group by 1, 2');
    return rows.map(({ sender_id, txn_id, times }) => ({ sender: sender_id, txnId: txn_id, times }));
  }

  // Whether each stored message has its effect.
  async complete() {
    const missing = "select from sealcast.messages m where m.t = 'chat' and not exists (select from chaos.effects e where (e.sender_id, e.txn_id) = (m.sender_id, m.txn_id)) limit 1";
    return (await this.stack.query(missing)).length === 0;
  }
}
