-- Fills a database with rows that an upgrade must keep: messages (some of them relayed and applied), their keys, and money.
-- Copies all rows to the schema kept.
\set QUIET on
\set ON_ERROR_STOP on
set sealcast.gate = off;
do $$ begin perform sealcast.maintain(); end $$;
create extension if not exists sealcast_economy;
do $$ begin perform sealcast_economy.register(); end $$;

\set room '''a0000000-0000-4000-8000-000000000001'''
\set owner '''b0000000-0000-4000-8000-000000000001'''
\set guest '''b0000000-0000-4000-8000-000000000004'''
create schema kept;
create table kept.sent (n integer primary key, t text, txn_id uuid default gen_random_uuid(), d text, envelope text);
insert into kept.sent (n, t, d) select n, 'chat', json_build_object('content', n) from generate_series(1, 6) n;
insert into kept.sent (n, t, d) values (7, 'gift', '{"amount":100}');
create function kept.send(first integer, last integer) returns table (n integer, replayed boolean, envelope text) language sql as $$
  select s.n, v.replayed, v.envelope
  from (select array_agg(n order by n) as n, array_agg(t order by n) as t, array_agg(txn_id order by n) as txn_id, array_agg(d order by n) as d
        from kept.sent where n between first and last) a
  cross join lateral sealcast.admit(array_fill('a0000000-0000-4000-8000-000000000001'::uuid, array[cardinality(a.n)]), a.t,
                                    array_fill('b0000000-0000-4000-8000-000000000004'::uuid, array[cardinality(a.n)]), a.txn_id, a.d) v
  cross join lateral (select a.n[v.item]) s (n) $$;
-- Helpers that act as the relay and as a worker.
create function kept.drain(max_rows integer) returns table ("offset" bigint, envelope text) language sql as $$
  select d."offset", d.envelope
  from (select array_agg(shard::integer order by shard) as shards, array_agg(epoch order by shard) as epochs from sealcast_internal.relay_leases) l
  cross join lateral sealcast_internal.drain('kept', l.shards, l.epochs, max_rows) d where d.stream_id is not null $$;
create function kept.apply(handler text, first integer, last integer) returns setof text language sql as $$
  select a.outcome
  from (select array_agg(envelope order by n) as envelopes, array_agg(n::bigint order by n) as offsets, array_agg(n || '-0' order by n) as entries
        from kept.sent where n between first and last) s,
       (select epoch from sealcast_internal.event_leases where group_name = 'default' and partition = 0) l,
       lateral sealcast_internal.apply_events('default', handler, 0, l.epoch, s.envelopes, s.offsets, s.entries) a $$;

insert into sealcast.streams (stream_id, title) values (:room, 'room');
insert into sealcast.stream_roles (stream_id, user_id, role) values (:room, :owner, 'owner');
insert into sealcast.cells values ('here', 'https://here.example');
create table public.notes (author text, txn text, body json);
create trigger once before insert on public.notes for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into public.notes values ('a', '1', '{}');
select sealcast_economy.deposit(:guest, 1000, 'USD', 'payment') \g /dev/null

update kept.sent s set envelope = a.envelope from kept.send(1, 3) a where a.n = s.n;
select sealcast_internal.claim_shards('kept', 600000) \g /dev/null
select kept.drain(100) \g /dev/null
update kept.sent s set envelope = a.envelope from kept.send(4, 7) a where a.n = s.n;
select sealcast_internal.begin_delivery('sse', array_agg(shard::integer), array_agg(epoch), array_agg(0)) from sealcast_internal.relay_leases \g /dev/null
select sealcast_internal.claim_partitions('default', 'kept', 600000, 1) \g /dev/null
select kept.apply('xp', 1, 3) \g /dev/null
select kept.apply('aggregates', 1, 3) \g /dev/null
insert into sealcast.event_dead_letters (group_name, partition, entry, reason, attempts) values ('default', 0, '9-0', 'malformed', 0);
select sealcast.mute(:room, :guest) \g /dev/null
select set_config('request.jwt.claims', '{"sub":"b0000000-0000-4000-8000-000000000001"}', true), sealcast.report_message(:room, 1, 'spam') \g /dev/null

do $$
declare
  relation regclass;
begin
  for relation in select oid from pg_class where relkind in ('r', 'p') and not relispartition
                  and relnamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace, 'sealcast_economy'::regnamespace) loop
    execute format('create table kept.%I as table %s', relation::text, relation);
  end loop;
end $$;
create table kept.sequences as select schemaname, sequencename, last_value from pg_sequences where schemaname like 'sealcast%';
create table kept.audit as select * from sealcast_economy.audit();
