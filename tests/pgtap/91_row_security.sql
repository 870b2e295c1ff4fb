-- Tests row-level security: each role on every table of both schemas, how many rows it sees, and which rows it may
-- insert, update and delete.
begin;
\ir economy.psql
select plan(4);

create temp table tables as
  select oid::regclass as relation, relname from pg_class
  where relnamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace, 'sealcast_economy'::regnamespace) and relkind in ('r', 'p');

-- Every table gets rows of two streams. The guest may read the room, and is muted there. The cave is private, and one
-- user with a role in it is banned from it. The guest has sent two gifts, one of which is captured for the owner.
\set banned '''b0000000-0000-4000-8000-000000000005'''
insert into sealcast.stream_roles (stream_id, user_id, role) values (:cave, :banned, 'vip');
select sealcast.ban(:cave, :banned) \g /dev/null
\set streams 'unnest(array[' :room ', ' :cave ']::uuid[]) s'
select pg_temp.admit(s, 'chat', :owner, '{}') from :streams \g /dev/null
select sealcast_economy.deposit(u, 1000, 'USD', u::text) from unnest(array[:guest, :owner]::uuid[]) u \g /dev/null
select gen_random_uuid() as captured \gset
select pg_temp.admit(:room, 'gift', :guest, '{"amount":100}', txn_id) from unnest(array[:'captured', gen_random_uuid()]) txn_id \g /dev/null
select sealcast_economy.xp_on_events(array[e]), sealcast_economy.aggregates_on_events(array[e]), sealcast_economy.gift_on_event(e)
from pg_temp.event(:'captured') e \g /dev/null
select pg_temp.settle() \g /dev/null
select sealcast.mute(s, u::uuid) from :streams, unnest(array[:guest, :vip]) u \g /dev/null
insert into sealcast.stream_runs select s, 1, 1, extract(epoch from now()) * 1000, 0, 1 from :streams;
insert into sealcast.report_cases (stream_id, "offset", sender_id, envelope) select s, 1, :owner, '{}' from :streams;
insert into sealcast.reports (stream_id, "offset", reporter_id) select s, 1, :guest from :streams;
insert into sealcast.redactions (ts, message_id, stream_id, payload_hash, redacted_at, event_id)
  select 1, row_number() over (), s, sha256(''), 1, 1 from :streams;
insert into sealcast.retained_messages select s, 'tap', '', 1, 0, 1, 1 from :streams;
insert into sealcast_internal.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
  values (0, 1, 1, 0, '1:1:', '0', 0, 0, '{}', '{}', '{}');
insert into sealcast_internal.relay_members values ('tap', now());
insert into sealcast.deliveries values ('post', 0, 1, now(), now());
insert into sealcast.delivery_lags select 'post', s, 1, 'x' from :streams;
insert into sealcast.dead_letters select 'post', s, 1, 'x', 1 from :streams;
insert into sealcast.webhook_events (event_id, type, stream_id, occurred_at, data)
  select gen_random_uuid(), 'user.banned', s, now(), '{}' from :streams;
insert into sealcast.stream_rules (stream_id, slow_mode_s) select s, 5 from :streams;
insert into sealcast.pins select s, 1, :guest, gen_random_uuid(), null, null from :streams;
insert into sealcast.blocked_terms (stream_id, term) select s, 'tap' from :streams;
insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at)
  select gen_random_uuid(), s, :owner, gen_random_uuid(), 'chat', '{}', '', 'rule', now(), now() from :streams;
insert into sealcast.term_hits (at, stream_id, sender_id, txn_id, t, term_id, action)
  select now(), s, :guest, gen_random_uuid(), 'chat', gen_random_uuid(), 'flag' from :streams;
insert into sealcast.sampling select s, 50, false, now() from :streams;
insert into sealcast.switching (stream_id, step, since) select s, 'hot', now() from :streams;
insert into sealcast.viewer_counts (stream_id, published_at) select s, now() from :streams;
update sealcast.streams set delivery_mode = 'hot' where stream_id in (:room, :cave);
insert into sealcast.cells values ('tap', 'https://tap.example');
insert into sealcast.cell_pins select s, 'tap' from :streams;
create function public.tap_handler(e sealcast.event) returns void language sql security definer as '';
grant execute on function public.tap_handler(sealcast.event) to sealcast_service;
select sealcast.register_handler('tap', 'chat', 'public.tap_handler(sealcast.event)');
insert into sealcast.event_effects (handler, sender_id, txn_id, ts) values ('tap', :guest, gen_random_uuid(), 1);
insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset") values ('tap', :guest, gen_random_uuid(), 1, 'x', gen_random_uuid(), 1);
insert into sealcast.event_dead_letters (group_name, handler, sender_id, txn_id, reason, attempts)
  values ('default', 'tap', :guest, gen_random_uuid(), 'x', 1);
insert into sealcast_internal.event_workers (group_name, holder, seen_at) values ('default', 'tap', now());
insert into sealcast_internal.event_partitions (partition, last_ms, last_seq) values (0, 1, 1);
insert into sealcast_internal.event_leases (group_name, partition) values ('default', 0);
insert into sealcast_internal.row_keys values ('sealcast.streams', 'x');

-- Returns a summary of the access of a role, with the claims of `sub`, to a table: the number of rows it sees, `i` when
-- it can insert, and `u` and `d` with the numbers of rows it can update and delete; "-": it may not select at all. All
-- changes are rolled back.
create function pg_temp.attempt(who text, sub uuid, statement text) returns text language plpgsql as $$
declare
  touched bigint;
begin
  perform set_config('request.jwt.claims', case when sub is null then '' else json_build_object('sub', sub)::text end, true);
  perform set_config('role', who, true);
  execute statement;
  get diagnostics touched = row_count;
  raise exception using errcode = 'TDONE';
exception
  when insufficient_privilege then return null;
  -- The statement was allowed, and failed a constraint.
  when integrity_constraint_violation then return '';
  when sqlstate 'TDONE' then return touched::text;
end $$;
create function pg_temp.makes_of(who text, sub uuid, relation regclass) returns text language plpgsql as $$
declare
  columns text;
  one_column text;
begin
  select coalesce(string_agg(quote_ident(attname), ', ') filter (where has_column_privilege(who, relation, attname, 'insert')),
                  string_agg(quote_ident(attname), ', ')),
         coalesce(min(quote_ident(attname)) filter (where has_column_privilege(who, relation, attname, 'update')),
                  min(quote_ident(attname)))
    into columns, one_column
  from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped and attidentity = '';
  return concat_ws(' ', coalesce(pg_temp.attempt(who, sub, format('select from %s', relation)), '-'),
    -- Copies of the rows, or one row of nulls: policies are checked before constraints.
    left('i' || pg_temp.attempt(who, sub, format('insert into %s (%s) select %2$s from (values (1)) one left join copies.%I on true',
                                                 relation, columns, relname)), 1),
    'u' || pg_temp.attempt(who, sub, format('update %s set %s = %2$s', relation, one_column)),
    'd' || pg_temp.attempt(who, sub, format('delete from %s', relation)))
  from pg_class where oid = relation;
end $$;
create schema copies;
grant usage on schema copies to public;
do $$
declare
  original record;
begin
  for original in select * from pg_temp.tables loop
    execute format('create table copies.%I as table %s', original.relname, original.relation);
    execute format('grant select on copies.%I to public', original.relname);
  end loop;
end $$;
create temp view matrix as
  select t.relname::text, who.name, pg_temp.makes_of(who.role, who.sub::uuid, t.relation) as makes_of
  from tables t, (values
    ('admin', 'sealcast_admin', null), ('service', 'sealcast_service', null), ('owner', 'sealcast_user', :owner),
    ('moderator', 'sealcast_user', :moderator), ('banned', 'sealcast_user', :banned), ('guest', 'sealcast_user', :guest),
    ('nobody', 'sealcast_user', null)) who (name, role, sub);

-- The service may access no table, only functions.
select results_eq(
  $$select relname collate "default", array_agg(makes_of order by array_position('{admin,owner,moderator,banned,guest,nobody}', name))
    from matrix where name <> 'service' group by relname having count(*) filter (where makes_of <> '-') > 0 order by 1$$,
  $$select relname, array[admin, owner, moderator, banned, guest, nobody] from (values
    --                     sealcast_admin  owner  moder. banned guest  nobody
    ('accounts',            '6',            '2',   '0',   '0',   '2',   '0'),
    ('blocked_terms',       '2',            '-',   '-',   '-',   '-',   '-'),
    ('cell_pins',           '2 i u2 d2',    '-',   '-',   '-',   '-',   '-'),
    ('cells',               '1 i u1 d',     '-',   '-',   '-',   '-',   '-'),
    ('chatters',            '1',            '-',   '-',   '-',   '-',   '-'),
    ('currencies',          '1 i u1 d1',    '1',   '1',   '1',   '1',   '1'),
    ('dead_letters',        '2',            '-',   '-',   '-',   '-',   '-'),
    ('deliveries',          '1',            '-',   '-',   '-',   '-',   '-'),
    ('delivery_changes',    '2',            '-',   '-',   '-',   '-',   '-'),
    ('delivery_lags',       '2',            '-',   '-',   '-',   '-',   '-'),
    ('entries',             '11',           '2',   '0',   '0',   '6',   '0'),
    ('event_attempts',      '1',            '-',   '-',   '-',   '-',   '-'),
    ('event_dead_letters',  '1',            '-',   '-',   '-',   '-',   '-'),
    ('event_effects',       '1',            '-',   '-',   '-',   '-',   '-'),
    ('event_handlers',      '4',            '-',   '-',   '-',   '-',   '-'),
    ('event_leases',        '1',            '-',   '-',   '-',   '-',   '-'),
    ('event_losses',        '1',            '-',   '-',   '-',   '-',   '-'),
    ('event_partitions',    '1',            '-',   '-',   '-',   '-',   '-'),
    ('event_workers',       '1',            '-',   '-',   '-',   '-',   '-'),
    ('held_messages',       '2',            '-',   '-',   '-',   '-',   '-'),
    ('holds',               '1',            '0',   '0',   '0',   '1',   '0'),
    -- A type with an admit hook is not deleted.
    ('message_types',       '12 i u12',     '12',  '12',  '12',  '12',  '12'),
    ('messages',            '4',            '4',   '3',   '3',   '3',   '3'),
    ('moderation_log',      '5',            '5',   '2',   '0',   '0',   '0'),
    ('pins',                '2',            '2',   '1',   '1',   '1',   '1'),
    ('redactions',          '2',            '2',   '1',   '1',   '1',   '1'),
    ('relay_leases',        '4',            '-',   '-',   '-',   '-',   '-'),
    ('relay_log',           '1',            '-',   '-',   '-',   '-',   '-'),
    ('relay_members',       '1',            '-',   '-',   '-',   '-',   '-'),
    ('report_cases',        '2',            '2',   '1',   '0',   '0',   '0'),
    ('reports',             '2',            '-',   '-',   '-',   '-',   '-'),
    ('restrictions',        '5 i u5 d5',    '5',   '2',   '1',   '2',   '0'),
    ('retained_messages',   '2',            '-',   '-',   '-',   '-',   '-'),
    ('sampling',            '2',            '-',   '-',   '-',   '-',   '-'),
    ('stream_minutes',      '1',            '-',   '-',   '-',   '-',   '-'),
    ('stream_roles',        '6 i u6 d6',    '6',   '3',   '1',   '0',   '0'),
    ('stream_rules',        '2',            '2',   '1',   '1',   '1',   '1'),
    ('stream_runs',         '2',            '2',   '1',   '1',   '1',   '1'),
    ('streams',             '3 i u3 d3',    '3',   '2',   '2',   '2',   '2'),
    ('switching',           '2',            '-',   '-',   '-',   '-',   '-'),
    ('term_hits',           '2',            '-',   '-',   '-',   '-',   '-'),
    ('transfers',           '5',            '2',   '0',   '0',   '4',   '0'),
    ('viewer_counts',       '2',            '-',   '-',   '-',   '-',   '-'),
    ('webhook_events',      '2',            '-',   '-',   '-',   '-',   '-'),
    ('xp',                  '1',            '0',   '0',   '0',   '1',   '0'),
    ('xp_days',             '1',            '0',   '0',   '0',   '1',   '0'),
    ('xp_rules',            '4 i u4 d4',    '4',   '4',   '4',   '4',   '4')) v (relname, admin, owner, moderator, banned, guest, nobody)$$,
  'each role has the expected access to each table');
select is(array(select relname || ': ' || makes_of from matrix where name = 'service' and makes_of <> '-'), '{}'::text[],
          'sealcast_service has access to no table');

-- A careless GRANT must open nothing: rows without a policy stay invisible, even without the append-only triggers.
alter table sealcast_economy.transfers disable trigger append_only;
alter table sealcast_economy.entries disable trigger append_only;
create temp table before as select * from matrix where name not in ('admin', 'service');
create role tap_granted;
grant usage on schema sealcast, sealcast_internal, sealcast_economy to tap_granted;
grant all on all tables in schema sealcast, sealcast_internal, sealcast_economy to tap_granted, sealcast_user;
select is(array(select relname::text from tables where pg_temp.makes_of('tap_granted', :owner, relation) <> '0 u0 d0'),
          '{}'::text[], 'a role without a policy sees and changes nothing, whatever it was granted');
select is(array(select concat_ws(' ', m.relname, m.name, m.makes_of) from matrix m join before b using (relname, name)
                where m.makes_of <> case b.makes_of when '-' then '0' else b.makes_of end || ' u0 d0'),
          '{}'::text[], 'sealcast_user sees and changes no more than before, whatever it was granted');
select * from finish();
rollback;
