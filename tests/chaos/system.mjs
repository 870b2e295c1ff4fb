// The system under test: two sidecars with a worker each, two Postgres servers, the gate's Redis, a Redis and a Mosquitto as
// targets of delivery, a Redis of events, a proxy ("link") in each connection, and further parts (parts/). It injects faults
// into each part and removes them.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Proxy } from '../client/proxy.mjs';
import { Broker } from '../integration/broker.mjs';
import { request } from '../integration/http.mjs';
import { RedisTarget } from '../integration/redis_target.mjs';
import { PrivateStack, freePort } from '../integration/stack.mjs';
import { until } from '../integration/waiting.mjs';
import { EventPlane } from './parts/event_plane.mjs';
import { FirstHost } from './parts/first_host.mjs';
import { shapes } from './parts/gate_redis.mjs';
import { GoneReaders } from './parts/gone_readers.mjs';
import { LinkGroup } from './parts/link_group.mjs';
import { LogCollector } from './parts/log_collector.mjs';
import { Moderators } from './parts/moderators.mjs';
import { NameServer } from './parts/name_server.mjs';
import { PostgresPair } from './parts/postgres_pair.mjs';
import { Redactors } from './parts/redactors.mjs';

const run = promisify(execFile);

const NAMES = ['a', 'b'];
const REGULARS = 4;
// namespace.sh has made a mount namespace and a network namespace: the mounts and routes end with them.
const NAMESPACE = Boolean(process.env.SEALCAST_CHAOS_NAMESPACE);
const DISKS = '/mnt';
const DISK_MIB = 1024; // of a Postgres server
const DELAY_MS = 150;
const CLOCK_STEP_S = 30;
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
// A sanitizer must be loaded first, so a sanitized sidecar cannot have LD_PRELOAD.
const sanitized = /[at]san\b/.test(process.env.SEALCASTD);

export class System {
  impossible = new Map(); // faults that this machine cannot have: group → reason
  violations = []; // sidecars that ended without a fault
  links = new Map();
  logs = new Map();
  firstHosts = new Map();
  sidecars = new Map();
  #parts = new Map(); // target → its part, of parts/
  #settings = new Map();
  #closing = false;
  #taken = new Map(); // sidecar → settles when the fault that has it is removed

  // `shape` is that of the gate's Redis.
  static async start(rooms, shape = 'single') {
    const system = new System();
    system.stack = await PrivateStack.create();
    system.regulars = Array.from({ length: REGULARS }, () => system.stack.user());
    system.target = await RedisTarget.start(system.stack);
    system.broker = await Broker.start(system.stack);
    await system.#prepareClock();
    await system.#startPostgres();
    system.events = await EventPlane.start(system.stack, system);
    system.#parts.set('postgres', system.postgres).set('redis-events', system.events);
    system.rooms = await Promise.all(Array.from({ length: rooms }, () => system.stack.stream()));
    await system.broker.read(system.rooms);
    await LogCollector.prepare(system.stack);
    await system.#makeLinks();
    system.moderators = await Moderators.create(system.stack, system.rooms[0], system.urls);
    system.#parts.set('moderator', system.moderators);
    system.redactors = await Redactors.create(system.stack, system.rooms, system.urls);
    await system.useRedis(shape);
    if (system.violations.length > 0) throw new Error(system.violations[0].details);
    const services = "select distinct transport from sealcast.delivery_status where transport <> 'sse'";
    // A transport delivers only the messages after its start.
    await until('the transports have started', async () => (await system.stack.query(services)).length === 3);
    for (const name of NAMES) await system.#startWorker(name);
    return system;
  }

  // The URLs of the sidecars for clients.
  get urls() {
    return NAMES.map((name) => this.links.get(`clients-${name}`).url);
  }

  async ready() {
    for (const url of this.urls) {
      const isReady = async () => this.violations.length > 0 || (await request(`${url}/readyz`, { timeout: 2000 })).status === 200;
      await until(`${url} is ready`, isReady, 120_000);
    }
  }

  // ---- Setup

  async #prepareClock() {
    this.clockFile = join(this.stack.directory, 'clock');
    if (!NAMESPACE) this.impossible.set('clock', 'it needs root and a mount namespace');
    else if (!existsSync(FAKETIME)) this.impossible.set('clock', `there is no ${FAKETIME}`);
    // A killed process leaves files of the library in /dev/shm.
    else await run('mount', ['-t', 'tmpfs', 'sealcast-chaos', '/dev/shm']);
    this.#setClock('+0');
  }

  #setClock(offset) {
    writeFileSync(this.clockFile, `${offset}\n`, { mode: 0o644 });
  }

  // The variables with which the wall clock of a program follows the file. Its timers use the monotonic clock and do
  // not change.
  get #clock() {
    if (this.impossible.has('clock')) return [];
    return [`LD_PRELOAD=${FAKETIME}`, `FAKETIME_TIMESTAMP_FILE=${this.clockFile}`, 'FAKETIME_CACHE_DURATION=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1'];
  }

  // Each Postgres server has a small disk.
  async #startPostgres() {
    const mount = (directory) => run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'sealcast-chaos', directory]);
    if (NAMESPACE) await mount(DISKS);
    else this.impossible.set('disk', 'it needs root and a mount namespace');
    const disks = NAMES.map((name) => join(NAMESPACE ? DISKS : this.stack.directory, `disk-${name}`));
    for (const disk of disks) {
      mkdirSync(disk);
      if (NAMESPACE) await mount(disk);
    }
    this.postgres = await PostgresPair.start(this.stack, disks, this.#clock);
  }

  async #makeLinks() {
    const { database } = this.stack.postgres;
    const sockets = this.postgres.servers.map(({ socket }) => socket);
    const link = async (name, url) => {
      this.links.set(name, await Proxy.to(url));
      return this.links.get(name);
    };
    const [target, broker] = [await link('link-redis-target', this.target.url), await link('link-mosquitto', this.broker.url)];
    const brokerHost = await this.#startNameServer();
    for (const [i, name] of NAMES.entries()) {
      const listen = `127.0.0.1:${await freePort()}`;
      this.links.set(`postgres-${name}`, await LinkGroup.to(sockets));
      const firstHost = await FirstHost.start(this.stack, this.links.get(`postgres-${name}`));
      await link(`clients-${name}`, `http://${listen}`);
      const log = await LogCollector.start(this.stack, name, this.rooms[0], `http://${listen}`);
      this.logs.set(name, log);
      this.firstHosts.set(name, firstHost);
      const readers = new GoneReaders(`127.66.0.${i + 1}`, listen, this.rooms, () => this.metric(name, 'sealcast_sse_subscribers'));
      this.#parts.set(`first-host-${name}`, firstHost).set(`log-${name}`, log).set(`readers-${name}`, readers);
      this.#settings.set(name, {
        SEALCAST_HTTP_LISTEN: listen,
        SEALCAST_RELAY_HOLDER: name,
        SEALCAST_POSTGRES_DSN: `${firstHost.dsn} dbname=${database} user=sealcast_service`,
        SEALCAST_GATE_SOCKET: '',
        SEALCAST_REDIS_STREAMS_URL: target.url,
        ...this.events.settings,
        SEALCAST_MQTT_URL: `mqtt://${brokerHost}:${broker.port}`,
        SEALCAST_DELIVERY_TIMEOUT_MS: '2000',
        SEALCAST_SSE_HEARTBEAT_MS: '1000',
        SEALCAST_HTTP_ACK_TIMEOUT_S: '5', // the least
      });
    }
  }

  // Starts the gate's Redis in another shape, and the sidecars with it.
  async useRedis(shape) {
    this.redis = await shapes[shape].start(this.stack, [...this.regulars]);
    this.#parts.set('redis', this.redis);
    for (const name of NAMES) {
      // The nodes of a group name each other's addresses, so only a single server has links.
      if (this.redis.linked) this.links.set(`redis-${name}`, await Proxy.to(this.redis.url));
      const redis = this.redis.linked ? this.links.get(`redis-${name}`) : this.redis;
      Object.assign(this.#settings.get(name), this.redis.settings, { SEALCAST_GATE_REDIS_URL: redis.url });
      const running = this.sidecars.get(name);
      this.sidecars.delete(name);
      await running?.stop();
      await this.#startSidecar(name);
    }
    await this.ready();
  }

  // Returns the host of the broker.
  async #startNameServer() {
    if (!NAMESPACE) {
      this.impossible.set('network', 'it needs root and a network namespace');
      return '127.0.0.1';
    }
    const cut = () => [...this.links].filter(([target]) => !target.startsWith('clients-')).forEach(([, link]) => link.cut());
    this.nameServer = await NameServer.start(this.stack, cut);
    this.#parts.set('resolver', this.nameServer);
    return NameServer.NAME;
  }

  get #underClock() {
    return sanitized ? [] : ['env', ...this.#clock];
  }

  async #startSidecar(name) {
    const log = this.logs.get(name);
    const sidecar = await this.stack.launch(this.#settings.get(name), { under: [...log.under, ...this.#underClock] });
    this.sidecars.set(name, sidecar);
    // A fault that kills it removes it from `sidecars`.
    sidecar.exited.then((end) => this.sidecars.get(name) === sidecar && this.#reportEnd(name, end, log));
  }

  async #startWorker(name) {
    const worker = await this.events.startWorker({ ...this.#settings.get(name), SEALCAST_RELAY_HOLDER: `worker-${name}` }, this.#underClock);
    worker.exited.then((end) => this.#closing || this.#reportEnd(`worker ${name}`, end, worker));
  }

  #reportEnd(name, { code, signal }, log) {
    this.violations.push({ guarantee: 'a sidecar survives the faults of other parts', details: `${name} ended with ${code ?? signal}:\n${log.tail()}` });
  }

  // ---- Faults. Each method injects a fault and returns a function that removes it.

  async inject({ fault, target }) {
    const name = target.split('-').at(-1);
    if (target.startsWith('sidecar-')) return this.#injectIntoSidecar(fault, name);
    if (this.links.has(target)) return this.#injectIntoLink(fault, this.links.get(target));
    if (this.#parts.has(target)) return this.#parts.get(target).inject(fault);
    const services = { 'redis-target': this.target, mosquitto: this.broker };
    if (services[target]) return this.#injectIntoService(fault, services[target]);
    return this.#stepClockBack();
  }

  async #injectIntoSidecar(fault, name) {
    if (fault === 'kill') return this.#killSidecar(name);
    const release = await this.#take(name);
    const { process } = this.sidecars.get(name);
    process.kill('SIGSTOP');
    return () => {
      process.kill('SIGCONT');
      release();
    };
  }

  async #killSidecar(name) {
    const release = await this.#take(name);
    const sidecar = this.sidecars.get(name);
    this.sidecars.delete(name);
    sidecar.process.kill('SIGKILL');
    await sidecar.exited;
    return () => this.#startSidecar(name).finally(release);
  }

  // Waits until no other fault has the sidecar. Returns a function that gives it free.
  async #take(name) {
    const before = this.#taken.get(name);
    let release;
    this.#taken.set(name, new Promise((resolve) => (release = resolve)));
    await before;
    return release;
  }

  // Kills the sidecar that leads most shards. Returns a function that waits until another one leads, and starts it again.
  async killLeader() {
    const leading = 'select holder from sealcast_internal.relay_leases where lease_until > clock_timestamp() group by 1 order by count(*) desc, 1';
    const [{ holder }] = await until('a sidecar leads', async () => {
      const rows = await this.stack.query(leading);
      return rows.length > 0 && rows;
    }, 60_000);
    const start = await this.#killSidecar(holder);
    return async () => {
      await until('another sidecar leads', async () => {
        const rows = await this.stack.query(leading);
        return rows.length > 0 && rows.every((row) => row.holder !== holder);
      }, 60_000);
      await start();
    };
  }

  #injectIntoLink(fault, link) {
    const [begin, end] = {
      cut: [() => link.refuse(), () => link.refuse(false)],
      delay: [() => link.delay(DELAY_MS), () => link.delay(0)],
      hold: [() => link.hold(), () => link.hold(false)],
      lose: [() => link.hold(), () => link.lose()],
    }[fault];
    begin();
    return end;
  }

  async #injectIntoService(fault, service) {
    if (fault === 'freeze') {
      await service.signal('SIGSTOP');
      return () => service.signal('SIGCONT');
    }
    await service.stop('SIGKILL');
    return () => service.start();
  }

  // The programs read the file once per second. When the fault is removed, their clocks step forward.
  #stepClockBack() {
    this.#setClock(`-${CLOCK_STEP_S}`);
    return () => this.#setClock('+0');
  }

  // A metric of a sidecar, read directly.
  async metric(name, metric) {
    const { text } = await request(`${this.sidecars.get(name).url}/metrics`, { timeout: 2000 });
    return Number(new RegExp(`^${metric} (\\S+)$`, 'm').exec(text)[1]);
  }

  async close() {
    this.#closing = true;
    this.broker.subscriber.kill();
    for (const link of this.links.values()) await link.close();
    await this.nameServer?.close();
    await this.postgres.close();
    await this.stack.close();
    if (NAMESPACE) await run('umount', ['--lazy', ...this.postgres.servers.map(({ disk }) => disk), DISKS, '/dev/shm']);
  }
}
