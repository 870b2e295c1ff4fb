// One round through the whole product over SQL. It returns what the database answered, without ids and times, so that the answers
// of two rounds can be compared.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Holder, admit, maintain } from './sql_database.mjs';

export const installBoth = async (client) => {
  await client.query('create extension sealcast');
  await maintain(client);
  await client.query('create extension sealcast_economy');
  await client.query('select sealcast_economy.register()');
  await client.query(`
    create table public.applied (txn_id pg_catalog.uuid);
    create function public.count_applied(e sealcast.event) returns void language sql security definer set search_path = pg_catalog, pg_temp
      as 'insert into public.applied values ((e).txn_id)';
    grant execute on function public.count_applied(sealcast.event) to sealcast_service;
    create table public.notes (room pg_catalog.uuid, author pg_catalog.text, txn pg_catalog.text, body json);
    create trigger a_once before insert on public.notes for each row execute function sealcast.idempotent_insert('author', 'txn');
    create trigger b_seal before insert on public.notes for each row execute function sealcast.seal_row('body', 'note', 'room', 'author', 'txn')`);
  await client.query("select sealcast.register_handler('count', null, 'public.count_applied(sealcast.event)')");
};

const rowsOf = async (client, sql, parameters) => (await client.query(sql, parameters)).rows;
const valueOf = async (client, sql, parameters) => Object.values((await rowsOf(client, sql, parameters))[0])[0];
const status = (verdicts) => verdicts.map((v) => [v.status, v.code, v.replayed].join(' '));

async function as(client, role, claims, work) {
  await client.query('begin');
  try {
    await client.query("select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)", [role, JSON.stringify(claims)]);
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function applyAll(client, handler, frames) {
  const [lease] = await rowsOf(client, "select * from sealcast_internal.claim_partitions('default', 'worker', 60000, 1)");
  const rows = await rowsOf(client, "select * from sealcast_internal.apply_events('default', $1, 0, $2, $3, $4, $5)", [
    handler, lease.epoch, frames.map((f) => f.envelope), frames.map((f) => f.offset), frames.map((_, i) => `${i + 1}-0`)]);
  return rows.map((row) => row.outcome);
}

async function restrictions(client, stream, owner, user) {
  const seen = [];
  const say = async () => seen.push(...status(await admit(client, [{ stream, sender: user, d: { content: 'hello' } }])));
  const call = (sql, ...parameters) => as(client, 'sealcast_user', { sub: owner }, () => client.query(sql, parameters));
  const soon = new Date(Date.now() + 3_600_000);
  await call('select sealcast.mute($1, $2, $3, $4)', stream, user, soon, "it's a \\ reason");
  await say();
  await call('select sealcast.unmute($1, $2)', stream, user);
  await call('select sealcast.ban($1, $2, $3)', stream, user, soon);
  await say();
  await call('select sealcast.unban($1, $2)', stream, user);
  await call("select sealcast.set_role($1, $2, 'vip_2')", stream, user);
  await say();
  return seen;
}

async function cells(client, stream) {
  await client.query("insert into sealcast.cells values ('a', 'https://a.example:8443'), ('b', 'http://[::1]:80')");
  try {
    await client.query("insert into sealcast.cell_pins values ($1, 'b')", [stream]);
    await client.query("set sealcast.cell = 'a'");
    const bad = await client.query("insert into sealcast.cells values ('c', 'https://c.example:80x')").catch((error) => error.code);
    return [await valueOf(client, 'select sealcast.cell_of($1)', [stream]), (await rowsOf(client, 'select * from sealcast_internal.cell_map()')).length, bad,
      ...status(await admit(client, [{ stream, sender: randomUUID() }]))];
  } finally {
    await client.query('reset sealcast.cell; delete from sealcast.cell_pins; delete from sealcast.cells');
  }
}

// The rows of other rounds stay in the database.
export async function round(client) {
  const seen = {};
  const [owner, sender] = [randomUUID(), randomUUID()];
  await maintain(client);
  const stream = await valueOf(client, 'insert into sealcast.streams default values returning stream_id');
  await client.query("insert into sealcast.stream_roles (stream_id, user_id, role) values ($1, $2, 'owner')", [stream, owner]);

  const item = { stream, sender, txn: randomUUID(), d: { content: 'Grüße \\ " \u{1F600} \n', n: 0.1, m: 1e21, b: '\\x00' } };
  await client.query('set role sealcast_service');
  seen.admitted = status(await admit(client, [item, { stream, sender }, { stream, sender, t: 'unknown' }]));
  seen.repeat = status(await admit(client, [item, { ...item, d: {} }]));
  await client.query('reset role');
  const send = () => valueOf(client, 'select sealcast.send_message($1, $2, $3, $4)', [stream, 'chat', '{"content":"sql"}', item.txn]);
  seen.sent = (await as(client, 'sealcast_user', { sub: owner }, send)).d;
  await client.query('set role sealcast_user');
  seen.refused = await send().catch((error) => [error.code, error.detail]);
  await client.query('reset role');
  seen.restricted = await restrictions(client, stream, owner, sender);

  await client.query("select sealcast_economy.deposit($1, 1000, 'USD', $2)", [sender, randomUUID()]);
  const gift = (amount) => admit(client, [{ stream, sender, t: 'gift', d: { amount } }]);
  seen.gifts = [...status(await gift(333)), ...status(await gift(999))];

  const relay = new Holder(client, 'relay');
  await relay.claim(60_000);
  const frames = [];
  for (let rows = await relay.drain(3); rows !== null; rows = await relay.drain(3)) frames.push(...rows.filter((row) => row.stream_id === stream));
  seen.drained = frames.map((frame) => [frame.offset, frame.prev, frame.public_prev].join(' '));
  const tailed = await rowsOf(client, 'select * from sealcast_internal.tail($1, $2, 1000)', [relay.mine.map((row) => row.shard), relay.mine.map((row) => row.batch)]);
  assert.deepEqual(tailed.filter((row) => row.stream_id === stream), frames, 'tail() returns the frames of drain()');
  const history = await rowsOf(client, 'select envelope::pg_catalog.text from sealcast.history($1, 0)', [stream]);
  assert.deepEqual(history.map((row) => row.envelope), frames.map((frame) => frame.envelope));
  seen.access = (await rowsOf(client, 'select * from sealcast_internal.stream_access($1, $2)', [stream, owner]))
    .map(({ log_epoch: epoch, ...access }) => ({ ...access, epoch: /^[0-9a-f]{8}$/.test(epoch) }));
  seen.d = await rowsOf(client, 'select d from sealcast.messages m where txn_id = $1 and sender_id = $2', [item.txn, sender]);
  seen.verified = [];
  for (const type of ['json', 'jsonb']) {
    seen.verified.push(await valueOf(client, `select sealcast.verify_detail($1::${type})`, [frames[0].envelope]),
      await valueOf(client, `select sealcast.verify($1::${type}, '1 hour')`, [frames[0].envelope]));
  }
  seen.canonical = await rowsOf(client, `select sealcast.canonicalize($1::jsonb), sealcast.canonicalize($1::json) as from_json,
    sealcast.payload_hash($1::json) as hash, sealcast.public_keys()`, ['{"b":[1.50,null],"a":"\\u00e9\\\\"}']);

  seen.applied = {};
  for (const handler of ['count', 'xp', 'gifts', 'aggregates']) {
    const of = handler === 'gifts' ? frames.filter((frame) => JSON.parse(frame.envelope).t === 'gift') : frames;
    seen.applied[handler] = [await applyAll(client, handler, of), await applyAll(client, handler, of)];
  }
  seen.counted = await valueOf(client, 'select count(*) from public.applied a where a.txn_id = any ($1)', [frames.map((frame) => JSON.parse(frame.envelope).txn_id)]);
  seen.xp = await rowsOf(client, 'select total, earlier from sealcast_economy.xp where user_id = any ($1) order by 1', [[owner, sender]]);
  seen.balances = await rowsOf(client, 'select kind::pg_catalog.text, balance from sealcast_economy.accounts where owner_id = any ($1) and balance <> 0 order by 1', [[owner, sender]]);
  seen.audit = await rowsOf(client, 'select what, found, expected from sealcast_economy.audit()');

  seen.cells = await cells(client, stream);
  seen.notes = [];
  for (let i = 0; i < 2; ++i) {
    seen.notes.push((await client.query("insert into public.notes values ($1, 'me', $2, '{\"a\":1}')", [stream, item.txn])).rowCount);
  }
  seen.noteVerifies = await valueOf(client, 'select sealcast.verify(body) from public.notes where txn = $1', [item.txn]);

  // The first call starts another segment, the second one truncates the segment before it.
  for (let i = 0; i < 2; ++i) await client.query('select sealcast_internal.rotate_outbox(0)');
  seen.outbox = await valueOf(client, 'select count(*) from sealcast_internal.outbox');
  seen.partitions = await rowsOf(client, 'select parent, count(*) from (values (\'messages\'), (\'stream_runs\')) p (parent), sealcast_internal.partitions((\'sealcast.\' || parent)::pg_catalog.regclass) group by 1 order by 1');
  seen.late = (await maintain(client)).filter((row) => row.action !== 'trimmed');
  return seen;
}
