-- Tests the references between dumped tables, which are not foreign keys, and the columns that nobody may change.
begin;
\ir scene.psql
select plan(38);

-- A deleted stream takes its roles, restrictions and transport with it.
select sealcast.mute(:room, :guest), sealcast.mute(:cave, :guest), sealcast.mute(null, :guest), sealcast.set_delivery_mode(:room, 'hybrid') \g /dev/null
select is(pg_temp.outcome('sealcast_admin', null, format('delete from sealcast.streams where stream_id in (%L, %L) returning 1', :room, :attic)), 'ok',
          'sealcast_admin may delete streams');
select is((select count(*) from sealcast.stream_roles where stream_id = :room), 0::bigint, 'the roles of a deleted stream are gone');
select is((select count(*) from sealcast.stream_roles where stream_id = :cave), 2::bigint, 'the roles of another stream stay');
select is(array(select stream_id from sealcast.restrictions order by 1), array[:cave, null]::uuid[], 'the restrictions in other streams stay when a stream is deleted');
select is((select count(*) from sealcast.switching), 0::bigint, 'the row of a deleted stream in switching is gone');

-- Who writes to the tables directly names an existing stream.
select is((pg_temp.try('sealcast_admin', null, statement)).state, '23503', 'a reference to nothing is refused: ' || statement)
from unnest(array[
  format('insert into sealcast.stream_roles (stream_id, user_id, role) values (%L, %L, ''vip'')', :nowhere, :guest),
  format('update sealcast.stream_roles set stream_id = %L', :nowhere),
  format('insert into sealcast.restrictions (stream_id, user_id, kind) values (%L, %L, ''ban'')', :nowhere, :guest),
  $$insert into sealcast.cell_pins values (gen_random_uuid(), 'none')$$]) statement;
select is((pg_temp.try('sealcast_admin', null, format('insert into sealcast.stream_roles (stream_id, user_id, role) values (%L, %L, ''vip'')', :nowhere, :guest))).message,
          format('stream %s does not exist', :nowhere), 'the error about a missing stream names it');
select is(pg_temp.outcome('sealcast_admin', null, statement || ' returning 1'), 'ok', 'a valid reference is allowed: ' || statement)
from unnest(array[
  format('insert into sealcast.stream_roles (stream_id, user_id, role) values (%L, %L, ''vip'')', :cave, :guest),
  format('insert into sealcast.restrictions (stream_id, user_id, kind) values (null, %L, ''ban'')', :vip),
  $$insert into sealcast.cells values ('a', 'https://a.example'), ('b', 'https://b.example'), ('c', 'https://c.example')$$,
  $$insert into sealcast.cell_pins values (gen_random_uuid(), 'b')$$,
  $$delete from sealcast.cells where cell = 'a'$$, $$update sealcast.cells set cell = 'd' where cell = 'c'$$,
  $$update sealcast.cells set url = 'https://b2.example' where cell = 'b'$$]) statement;
select is((pg_temp.try('sealcast_admin', null, statement || ' returning 1')).message, 'streams are pinned to cell b', 'a cell with pins stays: ' || statement)
from unnest('{"delete from sealcast.cells","update sealcast.cells set cell = ''e'' where cell = ''b''"}'::text[]) statement;
select throws_ok('truncate sealcast.streams', '23503', 'other tables still name the streams', 'streams are not truncated alone');
select lives_ok('truncate sealcast.streams, sealcast.stream_roles, sealcast.restrictions, sealcast.stream_rules, sealcast.pins, sealcast.switching', 'streams may be truncated together with all tables that refer to them');
insert into sealcast.streams (stream_id) values (:room);
select throws_ok(format('update sealcast.streams set stream_id = %L', :cave), '55000', 'the stream_id of a stream cannot change', 'a stream keeps its id');

-- Columns, and the place for data of applications.
select throws_ok(statement, '0A000', null, 'a change of columns is refused: ' || statement)
from unnest(array['alter table sealcast.streams add slug text', 'alter table if exists sealcast.streams rename title to name',
  'alter table sealcast.messages alter ts type numeric', 'alter table sealcast.message_types drop column tier']) statement;
insert into sealcast.streams (stream_id, metadata) values (:attic, '{"slug": "attic"}');
select throws_ok(format('update sealcast.streams set metadata = %L', bad), '23514', null, 'as metadata of a stream, this is refused: ' || left(bad, 20))
from unnest(array['[]', '1', json_build_object('x', repeat('x', 16384))::text]) bad;

-- Whoever disables the event trigger and adds columns cannot restore a dump, but nothing else breaks.
alter event trigger sealcast_refuse_column_changes disable;
do $$
declare
  relation regclass;
begin
  for relation in select oid from pg_class where relnamespace = 'sealcast'::regnamespace and relkind in ('r', 'p') and not relispartition loop
    execute format('alter table %s add tap_extra text', relation);
  end loop;
end $$;
create function public.tap_handler(event sealcast.event) returns void language sql security definer as 'select';
select sealcast.register_handler('tap', null, 'public.tap_handler(sealcast.event)') \g /dev/null
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'a message is admitted in spite of additional columns');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.%s(%L, %L%s)', f, :room, :guest, more)), 'ok', f || '() works in spite of additional columns')
from (values ('mute', ''), ('ban', ''), ('unmute', ''), ('unban', ''), ('set_role', ', ''vip''')) v (f, more);
select sealcast_internal.claim_shards('tap', 60000) \g /dev/null
-- A drain does not see the messages of its own transaction.
select lives_ok($$select d.* from (select array_agg(shard::integer) as shards, array_agg(epoch) as epochs from sealcast_internal.relay_leases) l
                  cross join lateral sealcast_internal.drain('tap', l.shards, l.epochs, 10) d$$, 'drain() works in spite of additional columns');
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) select stream_id, 1, 1, ts, ts, message_id from sealcast.messages;
select is((select count(*) from sealcast.history(:room) h where h.envelope is not null), 1::bigint, 'history() works in spite of additional columns');
update sealcast.retention set days_ahead = days_ahead + 1;
select is((select array_agg(distinct action) from pg_temp.maintain()), '{created}', 'maintain() works in spite of additional columns');
select * from finish();
rollback;
