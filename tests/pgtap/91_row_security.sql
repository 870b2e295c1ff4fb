-- Row-level security, as each role over every table: how many rows it sees, and what it may insert, update and delete.
begin;
\ir scene.psql
select plan(4);

-- Something in every table, of two streams: the guest may read the room, and is muted there; the cave is private.
\set streams 'unnest(array[' :room ', ' :cave ']::uuid[]) s'
select pg_temp.admit(s, 'chat', :owner, '{}') from :streams \g /dev/null
select sealcast.mute(s, u::uuid) from :streams, unnest(array[:guest, :vip]) u \g /dev/null
insert into sealcast.stream_runs select s, 1, 1, extract(epoch from now()) * 1000, 0, 1 from :streams;
insert into sealcast.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
  values (0, 1, 1, 0, '1:1:', '0', 0, 0, '{}', '{}', '{}');
insert into sealcast.relay_members values ('tap', now());
insert into sealcast.deliveries values ('post', 0, 1, now(), now());
insert into sealcast.delivery_lags select 'post', s, 1, 'x' from :streams;
insert into sealcast.dead_letters select 'post', s, 1, 'x', 1 from :streams;
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
insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason) values ('tap', :guest, gen_random_uuid(), 1, 'x');
insert into sealcast.event_dead_letters (group_name, handler, sender_id, txn_id, reason, attempts)
  values ('default', 'tap', :guest, gen_random_uuid(), 'x', 1);
insert into sealcast.event_workers (group_name, holder, seen_at) values ('default', 'tap', now());
insert into sealcast.event_partitions (partition, last_ms, last_seq) values (0, 1, 1);
insert into sealcast.event_leases (group_name, partition) values ('default', 0);
insert into sealcast.row_keys values ('sealcast.streams', 'x', 'x');

-- What a role with the claims of `sub` makes of a table, in short: how many rows it sees, i when it can insert, and u and d
-- with the number of rows that it can update and delete; "-" = it may not even look. Nothing stays.
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
  -- It was let through, and came to a constraint.
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
    -- Rows as there are, or one of nulls: policies are asked before constraints are.
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
  name name;
begin
  for name in select relname from pg_class where relnamespace = 'sealcast'::regnamespace and relkind in ('r', 'p') loop
    execute format('create table copies.%I as table sealcast.%1$I', name);
    execute format('grant select on copies.%I to public', name);
  end loop;
end $$;
create temp view matrix as
  select c.relname::text, who.name, pg_temp.makes_of(who.role, who.sub::uuid, c.oid) as makes_of
  from pg_class c, (values
    ('admin', 'sealcast_admin', null), ('service', 'sealcast_service', null), ('owner', 'sealcast_user', :owner),
    ('guest', 'sealcast_user', :guest), ('nobody', 'sealcast_user', null)) who (name, role, sub)
  where c.relnamespace = 'sealcast'::regnamespace and c.relkind in ('r', 'p');

-- The service has no table, only functions.
select results_eq(
  $$select relname collate "default", max(makes_of) filter (where name = 'admin'), max(makes_of) filter (where name = 'owner'),
           max(makes_of) filter (where name = 'guest'), max(makes_of) filter (where name = 'nobody')
    from matrix group by relname having count(*) filter (where makes_of <> '-') > 0 order by 1$$,
  $$values
    --                    sealcast_admin  owner  guest  nobody
    ('cell_pins',         '2 i u2 d2',    '-',   '-',   '-'),
    ('cells',             '1 i u1 d',     '-',   '-',   '-'),
    ('dead_letters',      '2',            '-',   '-',   '-'),
    ('deliveries',        '1',            '-',   '-',   '-'),
    ('delivery_changes',  '2',            '-',   '-',   '-'),
    ('delivery_lags',     '2',            '-',   '-',   '-'),
    ('event_attempts',    '1',            '-',   '-',   '-'),
    ('event_dead_letters','1',            '-',   '-',   '-'),
    ('event_effects',     '1',            '-',   '-',   '-'),
    ('event_handlers',    '1',            '-',   '-',   '-'),
    ('event_leases',      '1',            '-',   '-',   '-'),
    ('event_losses',      '1',            '-',   '-',   '-'),
    ('event_partitions',  '1',            '-',   '-',   '-'),
    ('event_workers',     '1',            '-',   '-',   '-'),
    ('message_types',     '7 i u7 d7',    '7',   '7',   '7'),
    ('messages',          '2',            '2',   '1',   '1'),
    ('relay_leases',      '4',            '-',   '-',   '-'),
    ('relay_log',         '1',            '-',   '-',   '-'),
    ('relay_members',     '1',            '-',   '-',   '-'),
    ('restrictions',      '4 i u4 d4',    '4',   '2',   '0'),
    ('sampling',          '2',            '-',   '-',   '-'),
    ('stream_roles',      '5 i u5 d5',    '5',   '0',   '0'),
    ('stream_runs',       '2',            '2',   '1',   '1'),
    ('streams',           '3 i u3 d3',    '3',   '2',   '2'),
    ('switching',         '2',            '-',   '-',   '-'),
    ('viewer_counts',     '2',            '-',   '-',   '-')$$,
  'what each role makes of each table');
select is(array(select relname || ': ' || makes_of from matrix where name = 'service' and makes_of <> '-'), '{}'::text[],
          'the service has no table, only functions');

-- A careless GRANT opens nothing: what no policy shows stays closed.
create temp table before as select * from matrix where name in ('owner', 'guest', 'nobody');
create role tap_granted;
grant usage on schema sealcast to tap_granted;
grant all on all tables in schema sealcast to tap_granted, sealcast_user;
select is(array(select c.relname::text from pg_class c
                where c.relnamespace = 'sealcast'::regnamespace and c.relkind in ('r', 'p')
                  and pg_temp.makes_of('tap_granted', :owner, c.oid) <> '0 u0 d0'),
          '{}'::text[], 'a role without a policy sees nothing and changes nothing, whatever it was granted');
select is(array(select concat_ws(' ', m.relname, m.name, m.makes_of) from matrix m join before b using (relname, name)
                where m.makes_of <> case b.makes_of when '-' then '0' else b.makes_of end || ' u0 d0'),
          '{}'::text[], 'nor does sealcast_user see more than before, or change anything');
select * from finish();
rollback;
