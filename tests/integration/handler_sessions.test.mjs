// What a handler leaves in the session of its worker is gone when the next batch begins.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EventPlane } from './tally.mjs';
import { until } from './waiting.mjs';

let plane, stack;
before(async () => {
  plane = await EventPlane.create({ SEALCAST_WORKER_LANES: '1' });
  stack = plane.stack;
  // The handler records what it finds in the session, and then leaves something of each kind.
  await stack.query(`
    grant temporary on database ${stack.postgres.database} to shop;
    create sequence shop.numbers;
    alter sequence shop.numbers owner to shop;
    create table shop.found (backend integer, what text);
    alter table shop.found owner to shop;
    create function shop.leave(e sealcast.event) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    begin
      insert into shop.found select pg_backend_pid(), 'the setting ' || name from pg_settings where setting like '%left_by_shop%'
        union all select pg_backend_pid(), 'the variable' where current_setting('shop.customer', true) <> ''
        union all select pg_backend_pid(), 'the table' where to_regclass('pg_temp.left_by_shop') is not null
        union all select pg_backend_pid(), 'the lock' from pg_locks where locktype = 'advisory' and objid = 4711
        union all select pg_backend_pid(), 'the channel' from pg_listening_channels()
        union all select pg_backend_pid(), 'the statement' from pg_prepared_statements where name = 'left_by_shop'
        union all select pg_backend_pid(), 'the cursor' from pg_cursors where name = 'left_by_shop';
      begin
        insert into shop.found select pg_backend_pid(), 'the number ' || lastval();
      exception when object_not_in_prerequisite_state then
        insert into shop.found values (pg_backend_pid(), null);
      end;
      perform set_config('search_path', 'left_by_shop', false), set_config('shop.customer', 'somebody', false), nextval('shop.numbers');
      create temp table left_by_shop (x integer);
      perform pg_advisory_lock(4711);
      listen left_by_shop;
      execute 'prepare left_by_shop as select 1';
      execute 'declare left_by_shop cursor with hold for select 1';
    end $$;
    alter function shop.leave owner to shop;
    grant execute on function shop.leave to sealcast_service`);
  await stack.query("select sealcast.unregister_handler('tally')");
  await stack.query("select sealcast.register_handler('leave', 'chat', 'shop.leave(sealcast.event)')");
});
after(() => plane?.close());

test('each batch begins with the same session', async () => {
  const worker = await plane.worker();
  const room = await stack.stream();
  const user = stack.user();
  for (let batch = 1; batch <= 3; batch++) {
    await plane.say(room, [user], [`batch ${batch}`]);
    await until('the event is applied', async () => Object.keys(await plane.problems('leave')).length === 0);
    // Also while the worker is idle, it locks nothing of the shop.
    await until('the lock is free', async () => (await stack.query("select from pg_locks where locktype = 'advisory' and objid = 4711")).length === 0);
  }
  const found = await stack.query('select backend, what from shop.found');
  assert.deepEqual(found, Array(3).fill({ backend: found[0].backend, what: null }));
  await worker.stop();
});
