-- Who may execute, read and write what: the whole schema as a table, and each role trying what it must not.
begin;
\ir scene.psql
select plan(53);

-- Every function of the schema and its roles: a(dmin), s(ervice), u(ser). One that is not listed here has none.
create temp table granted (function text, roles text);
insert into granted values
  ('sealcast.canonicalize(json)', 'asu'), ('sealcast.canonicalize(jsonb)', 'asu'),
  ('sealcast.payload_hash(json)', 'asu'), ('sealcast.payload_hash(jsonb)', 'asu'),
  ('sealcast.signing_string(text,text,text,text,bigint,text)', 'asu'),
  ('sealcast.verify(json,interval)', 'asu'), ('sealcast.verify(jsonb,interval)', 'asu'),
  ('sealcast.verify_detail(json,interval)', 'asu'), ('sealcast.verify_detail(jsonb,interval)', 'asu'),
  ('sealcast.public_keys()', 'asu'),
  ('sealcast.envelope(sealcast.messages)', 'asu'), ('sealcast.envelope_text(text,text,uuid,uuid,bigint,uuid,text,bytea)', 'asu'),
  ('sealcast.idempotent_insert()', 'asu'),
  ('sealcast.sampled(uuid,uuid,integer)', 'asu'), ('sealcast.public_prev(bigint,bigint,bytea,bigint)', 'asu'),
  ('sealcast.rendezvous(uuid,text[])', 'asu'), ('sealcast.cell_of(uuid)', 'asu'), ('sealcast.cell_map()', 's'),
  ('sealcast.sample_streams(integer[],bigint[],uuid[],integer[],integer)', 's'), ('sealcast.sampled_streams(integer[])', 's'),
  ('sealcast.set_sampling(uuid,integer)', 'au'), ('sealcast.set_delivery_mode(uuid,text)', 'au'),
  ('sealcast.due_switches(integer[],bigint[],text,integer,integer,integer,integer,integer,integer,boolean)', 's'),
  ('sealcast.switch_stream(integer[],bigint[],uuid,text,uuid,text)', 's'), ('sealcast.tier(text,uuid,jsonb)', 'asu'),
  ('sealcast.sign(text,text)', 's'), ('sealcast.seal(text,text,text,text,bigint,json)', 's'), ('sealcast.seal_row()', 's'),
  ('sealcast.keys()', 'as'), ('sealcast.maintain()', 'as'),
  ('sealcast.admit(uuid[],text[],uuid[],uuid[],text[])', 's'),
  ('sealcast.interface_version()', 's'), ('sealcast.call_as(uuid,text,json)', 's'), ('sealcast.migrate_transport(uuid,text,integer)', 'au'),
  ('sealcast.gate_limits()', 's'), ('sealcast.roles_of(uuid[],uuid[])', 's'), ('sealcast.stream_access(uuid,uuid)', 's'),
  ('sealcast.history(uuid,bigint,bigint,integer,boolean)', 's'),
  ('sealcast.claim_shards(text,integer)', 's'), ('sealcast.release_shards(text)', 's'),
  ('sealcast.drain(text,integer[],bigint[],integer)', 's'), ('sealcast.tail(integer[],bigint[],integer)', 's'),
  ('sealcast.begin_delivery(text,integer[],bigint[],bigint[])', 's'), ('sealcast.settle(text,integer[],bigint[],bigint[])', 's'),
  ('sealcast.delivery_modes()', 's'), ('sealcast.lagging_streams(text,integer[])', 's'), ('sealcast.set_lag(text,integer[],bigint[],uuid[],bigint[],text[])', 's'),
  ('sealcast.bury(text,integer[],bigint[],uuid,bigint,text,integer)', 's'), ('sealcast.dead_letters_to_replay(text,integer[],integer)', 's'),
  ('sealcast.revive(text,uuid,bigint)', 's'),
  ('sealcast.publish_viewer_counts(integer[],bigint[],uuid[],integer[],integer[],boolean,integer,integer)', 's'), ('sealcast.replay_dead_letters(text,uuid,bigint)', 'a'),
  ('sealcast.drop_dead_letters(text,uuid,bigint)', 'a'), ('sealcast.forget_transport(text)', 'a'), ('sealcast.last_offset(uuid)', 'a'),
  ('sealcast.register_handler(text,text,regprocedure,integer,integer,interval,text)', 'a'), ('sealcast.unregister_handler(text,boolean)', 'a'),
  ('sealcast.check_effects(text,timestamp with time zone,timestamp with time zone,integer)', 'a'),
  ('sealcast.replay_event_dead_letters(text,uuid,uuid)', 'a'), ('sealcast.drop_event_dead_letters(text,uuid,uuid,boolean)', 'a'),
  ('sealcast.handlers_of(text)', 's'), ('sealcast.event_groups()', 's'),
  ('sealcast.claim_partitions(text,text,integer,integer)', 's'), ('sealcast.release_partitions(text,text)', 's'),
  ('sealcast.events_carried_to()', 's'), ('sealcast.finish_partitions(text,integer[],bigint[],bigint[],bigint)', 's'),
  ('sealcast.apply_events(text,text,integer,bigint,text[],bigint[],text[])', 's'), ('sealcast.fail_event(text,text,integer,bigint,text,bigint,text)', 's'),
  ('sealcast.event_dead_letters_to_replay(text,integer)', 's'), ('sealcast.replay_plan(timestamp with time zone,uuid)', 's'),
  ('sealcast.event_partitions_state()', 's'), ('sealcast.note_event_partitions(bigint,integer[],bigint[],bigint[])', 's'), ('sealcast.rewind_events(bigint)', 's'),
  ('sealcast.send_message(uuid,text,json,uuid)', 'au'),
  ('sealcast.mute(uuid,uuid,timestamp with time zone,text)', 'au'), ('sealcast.ban(uuid,uuid,timestamp with time zone,text)', 'au'),
  ('sealcast.unmute(uuid,uuid)', 'au'), ('sealcast.unban(uuid,uuid)', 'au'), ('sealcast.set_role(uuid,uuid,text)', 'au'),
  ('sealcast.restrict_user(text,uuid,uuid,timestamp with time zone,text)', 'au'), ('sealcast.lift_restriction(text,uuid,uuid)', 'au'),
  ('sealcast.caller_id()', 'au'), ('sealcast.claims()', 'au'), ('sealcast.caller_can_read(uuid)', 'au'), ('sealcast.caller_moderates(uuid)', 'au');
select results_eq(
  $$select f, roles from (
      select p.oid::regprocedure::text as f,
             concat(case when has_function_privilege('sealcast_admin', p.oid, 'execute') then 'a' end,
                    case when has_function_privilege('sealcast_service', p.oid, 'execute') then 's' end,
                    case when has_function_privilege('sealcast_user', p.oid, 'execute') then 'u' end) as roles
      from pg_proc p where p.pronamespace = 'sealcast'::regnamespace) x where roles <> '' order by f$$,
  'select function, roles from granted order by function', 'each function is for whom it is for');
create role tap_nobody;
select is(array(select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace = 'sealcast'::regnamespace and has_function_privilege('tap_nobody', p.oid, 'execute')),
          '{}'::text[], 'PUBLIC may execute nothing');
select is(has_schema_privilege('tap_nobody', 'sealcast', 'usage'), false, 'nor look into the schema');
select is(array(select r || ' ' || p from unnest(array['sealcast_admin', 'sealcast_service', 'sealcast_user']) r where has_schema_privilege(r, 'sealcast', 'create')),
          '{}'::text[], 'nobody makes objects in it') from (values ('create')) v (p);
select is(array(select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace = 'sealcast'::regnamespace and p.prosecdef
                  and 'search_path=pg_catalog, pg_temp' <> all (coalesce(p.proconfig, '{}'))),
          '{}'::text[], 'what runs as its owner has a pinned search_path');
select is(array(select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace = 'sealcast'::regnamespace and p.prolang <> (select oid from pg_language where lanname = 'c')
                  and p.prosqlbody is null and 'search_path=pg_catalog, pg_temp' <> all (coalesce(p.proconfig, '{}'))),
          '{}'::text[], 'and so has all whose names are looked up when it runs');

-- Tables and sequences: r(ead), w(rite: any of insert, update, delete), for whole tables or columns.
create temp table access (relation text, admin text, service text, "user" text);
insert into access values
  ('cell_pins', 'rw', '', ''), ('cells', 'rw', '', ''),
  ('event_handlers', 'r', '', ''), ('event_effects', 'r', '', ''), ('event_attempts', 'r', '', ''), ('event_dead_letters', 'r', '', ''),
  ('event_leases', 'r', '', ''), ('event_workers', 'r', '', ''), ('event_partitions', 'r', '', ''), ('event_losses', 'r', '', ''),
  ('dead_letters', 'r', '', ''), ('deliveries', 'r', '', ''), ('delivery_lags', 'r', '', ''), ('message_types', 'rw', '', 'r'), ('messages', 'r', '', 'r'), ('relay_leases', 'r', '', ''), ('relay_log', 'r', '', ''),
  ('relay_members', 'r', '', ''), ('restrictions', 'rw', '', 'r'), ('sampling', 'r', '', ''), ('switching', 'r', '', ''), ('delivery_changes', 'r', '', ''), ('stream_runs', 'r', '', 'r'), ('stream_roles', 'rw', '', 'r'),
  ('streams', 'rw', '', 'r'), ('viewer_counts', 'r', '', '');
create function pg_temp.access(role text, relation oid) returns text language sql as $$
  select concat(case when has_any_column_privilege(role, relation, 'select') then 'r' end,
                case when has_any_column_privilege(role, relation, 'insert') or has_any_column_privilege(role, relation, 'update')
                       or has_table_privilege(role, relation, 'delete') or has_table_privilege(role, relation, 'truncate')
                       or has_table_privilege(role, relation, 'trigger') or has_table_privilege(role, relation, 'references') then 'w' end) $$;
select results_eq(
  $$select relname::text collate "default", pg_temp.access('sealcast_admin', oid), pg_temp.access('sealcast_service', oid), pg_temp.access('sealcast_user', oid)
    from pg_class where relnamespace = 'sealcast'::regnamespace and relkind in ('r', 'p')
      and pg_temp.access('sealcast_admin', oid) || pg_temp.access('sealcast_service', oid) || pg_temp.access('sealcast_user', oid) <> '' order by 1$$,
  'select * from access order by relation', 'each table is for whom it is for');
select is(array(select c.relname::text from pg_class c where c.relnamespace = 'sealcast'::regnamespace and c.relkind = 'S'
                and (has_sequence_privilege('sealcast_admin', c.oid, 'usage, select, update') or has_sequence_privilege('sealcast_service', c.oid, 'usage, select, update')
                     or has_sequence_privilege('sealcast_user', c.oid, 'usage, select, update'))), '{}'::text[], 'sequences are nobody''s');
select is((select array_agg(attname::text order by attname) from pg_attribute where attrelid = 'sealcast.message_types'::regclass and attnum > 0
           and not has_column_privilege('sealcast_admin', attrelid, attnum, 'update')), array['admit_hook', 'built_in'], 'sealcast_admin names no code');

-- Each role tries.
create temp table attempts (who text, statement text);
insert into attempts values
  ('sealcast_user', $$select sealcast.sign('x')$$),
  ('sealcast_user', $$select sealcast.seal('chat', 'a', 'b', 'c', 1, '{}')$$),
  ('sealcast_user', $$select sealcast.admit('{}', '{}', '{}', '{}', '{}')$$),
  ('sealcast_user', $$select sealcast.originals('{}', '{}')$$),
  ('sealcast_user', $$select sealcast.keys()$$),
  ('sealcast_user', $$select sealcast.history('a0000000-0000-4000-8000-000000000002')$$),
  ('sealcast_user', $$select sealcast.role_in('a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001')$$),
  ('sealcast_user', $$select sealcast.maintain()$$),
  ('sealcast_user', $$insert into sealcast.messages select * from sealcast.messages returning 1$$),
  ('sealcast_user', $$insert into sealcast.stream_roles values ('a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000004', 'owner') returning 1$$),
  ('sealcast_user', $$delete from sealcast.restrictions returning 1$$),
  ('sealcast_user', $$select 1 from sealcast.txn_keys$$),
  ('sealcast_user', $$select 1 from sealcast.outbox$$),
  ('sealcast_user', $$select 1 from sealcast.outbox_0$$),
  ('sealcast_user', $$select set_config('sealcast.gate', 'off', true)$$),
  ('sealcast_user', $$select set_config('sealcast.gate_socket', '/tmp/mine', true)$$),
  ('sealcast_user', $$select current_setting('sealcast.keyring')$$),
  ('sealcast_user', $$select 1 from sealcast.cell_pins$$),
  ('sealcast_user', $$select set_config('sealcast.cell', 'mine', true)$$),
  ('sealcast_admin', $$select set_config('sealcast.cell', 'mine', true)$$),
  ('sealcast_admin', $$select current_setting('sealcast.keyring')$$),
  ('sealcast_service', $$select current_setting('sealcast.keyring')$$),
  ('sealcast_admin', $$select sealcast.sign('x')$$),
  ('sealcast_admin', $$select sealcast.seal('chat', 'a', 'b', 'c', 1, '{}')$$),
  ('sealcast_admin', $$select sealcast.admit('{}', '{}', '{}', '{}', '{}')$$),
  ('sealcast_admin', $$delete from sealcast.messages returning 1$$),
  ('sealcast_admin', $$delete from sealcast.txn_keys returning 1$$),
  ('sealcast_admin', $$update sealcast.retention set keep = '1 day', keep_txn_ids = '15 minutes' returning 1$$),
  ('sealcast_service', $$update sealcast.retention set keep = '1 day', keep_txn_ids = '15 minutes' returning 1$$),
  ('sealcast_admin', $$update sealcast.relay_leases set holder = null returning 1$$),
  ('sealcast_admin', $$select sealcast.drain('x', '{0}', '{1}', 1)$$),
  ('sealcast_service', $$select 1 from sealcast.messages$$),
  ('sealcast_service', $$insert into sealcast.outbox values ('1', 1, 1, 1, 'a0000000-0000-4000-8000-000000000001', 1, 1) returning 1$$),
  ('sealcast_service', $$select sealcast.send_message('a0000000-0000-4000-8000-000000000001', 'chat', '{}', gen_random_uuid())$$),
  ('sealcast_service', $$select sealcast.ban(null, 'b0000000-0000-4000-8000-000000000001')$$),
  ('sealcast_service', $$select sealcast.rotate_outbox(0)$$),
  ('tap_nobody', $$select sealcast.canonicalize('{}'::json)$$);
select is(pg_temp.outcome(who, 'b0000000-0000-4000-8000-000000000004', statement), '42501', who || ': ' || statement) from attempts;

-- Partitions are read through their parent, whatever default privileges give away.
do $$ begin execute format('grant select on sealcast.messages_%s to tap_nobody', to_char(now() at time zone 'UTC', 'YYYYMMDD')); end $$;
grant usage on schema sealcast to tap_nobody;
select pg_temp.admit(:cave, 'chat', :vip, '{}') \g /dev/null
select is(result, '0', 'a partition shows nothing by itself')
from pg_temp.try('tap_nobody', null, format('select count(*) from sealcast.messages_%s', to_char(now() at time zone 'UTC', 'YYYYMMDD')));

-- Objects that shadow what the functions name change nothing.
create schema tap_mine; grant usage on schema tap_mine to sealcast_user; grant temporary on database :"DBNAME" to sealcast_user;
create function tap_mine.clock_timestamp() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
create function tap_mine.equal(uuid, uuid) returns boolean language plpgsql as $$ begin raise exception 'called as %', current_user; end $$;
create operator tap_mine.= (leftarg = uuid, rightarg = uuid, function = tap_mine.equal);
create function tap_mine.streams() returns int language sql as 'select 1';
set local search_path = tap_mine, public, pg_temp, pg_catalog;
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :room)), 'ok',
          'a schema in front of pg_catalog is not looked into');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L)', :room, :guest)), 'ok', 'nor by moderation');
select is(pg_temp.outcome('sealcast_user', :guest, 'select count(*) from sealcast.messages'), 'ok', 'nor by policies');
set local search_path = public, pg_temp;
create function pg_temp.now() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
create temp table streams (stream_id uuid, visibility text);
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :cave)), 'ok', 'nor pg_temp');

-- An admin by membership, while that is the role; a user's session does not become one by its login.
create role tap_staff; grant sealcast_admin to tap_staff;
select is(pg_temp.outcome('tap_staff', null, format('select sealcast.ban(null, %L)', :guest)), 'ok', 'a member of sealcast_admin may');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.ban(null, %L)', :vip)), 'PT403 role_required', 'a superuser who became sealcast_user may not');
select * from finish();
rollback;
