-- Tests that a message whose row is gone keeps its offset on every path, and that nobody stops at it or repeats it.
begin;
\ir scene.psql
select plan(18);

delete from sealcast_internal.relay_log;
delete from sealcast_internal.outbox;
update sealcast_internal.relay_leases set holder = 'a', epoch = 1, lease_until = now() + interval '1 h';
create function pg_temp.send(first integer, last integer) returns void language sql as $$
  select pg_temp.admit('a0000000-0000-4000-8000-000000000001', 'chat', gen_random_uuid(), json_build_object('n', n)::text)
  from generate_series(first, last) n $$;
-- The messages of this transaction are committed for the relay.
create function pg_temp.commit(xid xid8) returns void language sql as $$
  update sealcast_internal.outbox set xid = commit.xid where xid = pg_current_xact_id() $$;
-- Erases the messages of these numbers, as an erasure request does.
create function pg_temp.erase(numbers integer[]) returns bigint language sql as $$
  with gone as (delete from sealcast.messages m where m.stream_id = 'a0000000-0000-4000-8000-000000000001'
                  and (m.d::json ->> 'n')::int = any (numbers) returning 1) select count(*) from gone $$;
-- Shows rows: the offset, `gone` without an envelope, and the offset before on the public channel.
create function pg_temp.shown("offset" bigint, envelope text, public_prev bigint) returns text language sql as $$
  select concat("offset", case when envelope is null then ' gone'
                               when (envelope::json -> 'd' ->> 'n')::int <> "offset" then ' wrong' end, ' after ', public_prev) $$;
create function pg_temp.page(after bigint, max_rows integer, only_public boolean default false) returns text language sql as $$
  select string_agg(pg_temp.shown("offset", envelope, public_prev), ', ' order by "offset")
  from sealcast_internal.read_history('a0000000-0000-4000-8000-000000000001', after, null, max_rows, only_public) $$;

-- A message that is erased before it is relayed still gets an offset.
select pg_temp.send(1, 6) \g /dev/null
select pg_temp.commit('11') \g /dev/null
select is(pg_temp.erase('{2}'), 1::bigint, 'a message is erased before the drain');
create temp table drained as select * from sealcast_internal.drain('a', '{0,1,2,3}', '{1,1,1,1}', 1000) where stream_id is not null;
select is(string_agg(pg_temp.shown("offset", envelope, public_prev), ', ' order by "offset"),
          '1 after 0, 2 gone after 1, 3 after 2, 4 after 3, 5 after 4, 6 after 5', 'drain() returns an erased message without an envelope') from drained;

select is(pg_temp.erase('{1,4,6}'), 3::bigint, 'messages are erased after the drain');
select is(string_agg(pg_temp.shown("offset", envelope, public_prev), ', ' order by "offset"),
          '1 gone after 0, 2 gone after 1, 3 after 2, 4 gone after 3, 5 after 4, 6 gone after 5', 'tail() returns erased messages without an envelope')
from sealcast_internal.tail('{0,1,2,3}', '{0,0,0,0}', 8) where stream_id is not null;
select is(pg_temp.page(0, 10), '1 gone after 0, 2 gone after 1, 3 after 2, 4 gone after 3, 5 after 4, 6 gone after 5',
          'history() returns erased messages without an envelope');
select is(pg_temp.page(0, 2), '1 gone after 0, 2 gone after 1', 'a page counts the messages that are gone');
select is(pg_temp.page(2, 2), '3 after 2, 4 gone after 3', 'the next page of the history continues after erased messages');
select is(string_agg(pg_temp.shown("offset", envelope, public_prev), ', ' order by "offset"), '5 after 4, 6 gone after 5', 'the newest page of the history ends with erased messages')
from sealcast_internal.read_history(:room, null, null, 2, false);

-- The public channel keeps its chain.
update sealcast.stream_runs r set public_bits = case when r."offset" in (2, 4) then '\x00'::bytea end,
  public_before = case r."offset" when 3 then 1 when 5 then 3 else r."offset" - 1 end where r.stream_id = :room;
select is(pg_temp.page(0, 10, true), '1 gone after 0, 3 after 1, 5 after 3, 6 gone after 5', 'the public channel keeps its chain');

-- Dead letters.
select sealcast_internal.bury('post', '{0,1,2,3}', '{1,1,1,1}', :room, n, 'too large', 1) from unnest('{3,4}'::bigint[]) n \g /dev/null
select sealcast.replay_dead_letters('post') \g /dev/null
select is(string_agg(pg_temp.shown("offset", envelope, public_prev), ', ' order by "offset"), '3 after 1, 4 gone after ', 'a dead letter whose message is gone is replayed')
from sealcast_internal.dead_letters_to_replay('post', '{0,1,2,3}', 10);
update sealcast.streams set trimmed_through = 3 where stream_id = :room;
select is(string_agg("offset"::text, ' '), '4', 'a dead letter that retention has dropped holds up no other')
from sealcast_internal.dead_letters_to_replay('post', '{0,1,2,3}', 1);
select is((select string_agg("offset"::text, ' ') from sealcast.dead_letters), '4', 'a dead letter that retention has dropped is removed');

-- A partition that is detached.
do $$ begin
  execute format('alter table sealcast.messages detach partition %s',
                 (select tableoid::regclass from sealcast.messages limit 1));
end $$;
select is(pg_temp.page(2, 2), '3 gone after 1, 4 gone after ', 'the messages of a detached partition are gone');
select pg_temp.shown("offset", envelope, public_prev) from sealcast_internal.tail('{0,1,2,3}', '{0,0,0,0}', 8) \g /dev/null
select is((select count(*) from sealcast_internal.tail('{0,1,2,3}', '{0,0,0,0}', 8) where stream_id is not null and envelope is null), 6::bigint,
          'tail() goes on without the partition');

-- The epoch of the log.
select matches(sealcast.log_epoch(), '^[0-9a-z]{1,16}$', 'the log has an epoch');
select results_eq('select distinct log_epoch from sealcast_internal.claim_shards($$a$$, 60000)', 'select sealcast.log_epoch()', 'claim_shards() tells the epoch');
select is((select log_epoch from sealcast_internal.stream_access(:room, null)), sealcast.log_epoch(), 'stream_access() tells the epoch');
select sealcast.log_epoch() as before, sealcast.begin_log_epoch() as begun \gset
select isnt(sealcast.log_epoch(), :'before', 'begin_log_epoch() changes the epoch');

select * from finish();
rollback;
