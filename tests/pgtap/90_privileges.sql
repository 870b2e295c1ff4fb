-- Tests privileges: which roles may execute, read and write what, and that each role is refused everything else.
begin;
\ir scene.psql
select plan(94);

-- The roles that may execute each function: a(dmin), s(ervice), u(ser). No role may execute a function that is not
-- listed.
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
  ('sealcast.sampled(uuid,uuid,integer)', 'asu'), ('sealcast_internal.public_prev(bigint,bigint,bytea,bigint)', 'asu'),
  ('sealcast.rendezvous(uuid,text[])', 'asu'), ('sealcast.cell_of(uuid)', 'asu'), ('sealcast_internal.cell_map()', 's'),
  ('sealcast.log_epoch()', 'asu'), ('sealcast.begin_log_epoch(text)', 'a'),
  ('sealcast_internal.sample_streams(integer[],bigint[],uuid[],integer[])', 's'), ('sealcast_internal.sampled_streams(integer[])', 's'),
  ('sealcast.set_sampling(uuid,integer)', 'au'), ('sealcast.set_delivery_mode(uuid,text)', 'au'),
  ('sealcast_internal.due_revocations(integer[],integer)', 's'), ('sealcast_internal.end_revocations(bigint[])', 's'),
  ('sealcast_internal.new_notices(pg_snapshot,pg_snapshot,xid8,bigint,integer)', 's'), ('sealcast_internal.seal_notices(text[],uuid[],uuid[])', 's'), ('sealcast_internal.notices_of(uuid,uuid)', 's'),
  ('sealcast_internal.subscribe_webhook(text[])', 's'), ('sealcast_internal.due_webhooks(integer[],uuid,integer,integer)', 's'),
  ('sealcast_internal.end_webhooks(uuid[])', 's'), ('sealcast_internal.fail_webhooks(uuid[],text[],integer[],bigint[])', 's'),
  ('sealcast.replay_webhooks(uuid,uuid)', 'a'), ('sealcast.drop_webhooks(uuid,uuid)', 'a'), ('sealcast.forget_webhooks()', 'a'),
  ('sealcast_internal.due_switches(integer[],bigint[],text,integer,integer,integer,integer,integer,boolean)', 's'),
  ('sealcast_internal.switch_streams(integer[],bigint[],uuid[],text[],uuid[],text[])', 's'), ('sealcast.tier(text,uuid,jsonb)', 'asu'),
  ('sealcast.sign(text,text)', 's'), ('sealcast.seal(text,text,text,text,bigint,json)', 's'), ('sealcast.seal_row()', 's'),
  ('sealcast.keys()', 'as'), ('sealcast.maintain()', 'as'), ('sealcast.run_maintenance()', 'as'), ('sealcast.erase_user_step(uuid,integer)', 'a'), ('sealcast.erase_user(uuid)', 'a'), ('sealcast.repair_row_triggers()', 'as'),
  ('sealcast.admit(uuid[],text[],uuid[],uuid[],text[])', 's'),
  ('sealcast_internal.health()', 'as'), ('sealcast_internal.readiness()', 's'),
  ('sealcast.interface_version()', 's'), ('sealcast_internal.call_as(uuid,text,json)', 's'), ('sealcast.migrate_transport(uuid,text,integer,integer)', 'au'),
  ('sealcast_internal.gate_limits()', 's'), ('sealcast_internal.roles_of(uuid[],uuid[])', 's'), ('sealcast_internal.stream_access(uuid,uuid)', 's'), ('sealcast_internal.redacted_offset(uuid)', 's'),
  ('sealcast_internal.reader_access(uuid[],uuid[])', 's'),
  ('sealcast_internal.read_history(uuid,bigint,bigint,integer,boolean)', 's'), ('sealcast.history(uuid,bigint,bigint,integer,text)', 'au'),
  ('sealcast_internal.raise_partition_epochs(text,text,integer[],bigint[],bigint[])', 's'),
  ('sealcast_internal.check_log(text,integer[],bigint[],bigint[],bigint[])', 's'),
  ('sealcast_internal.claim_shards(text,integer,text[])', 's'), ('sealcast_internal.release_shards(text)', 's'), ('sealcast_internal.uncarried()', 'as'),
  ('sealcast_internal.drain(text,integer[],bigint[],integer)', 's'), ('sealcast_internal.tail(integer[],bigint[],integer)', 's'),
  ('sealcast_internal.begin_delivery(text,integer[],bigint[],bigint[])', 's'), ('sealcast_internal.settle(text,integer[],bigint[],bigint[])', 's'),
  ('sealcast_internal.delivery_modes()', 's'), ('sealcast_internal.lagging_streams(text,integer[])', 's'), ('sealcast_internal.set_lag(text,integer[],bigint[],uuid[],bigint[],text[])', 's'),
  ('sealcast_internal.bury(text,integer[],bigint[],uuid,bigint,text,integer)', 's'), ('sealcast_internal.dead_letters_to_replay(text,integer[],integer)', 's'),
  ('sealcast_internal.revive(text,uuid,bigint)', 's'),
  ('sealcast_internal.publish_viewer_counts(integer[],bigint[],uuid[],integer[],integer[],boolean,integer,uuid[])', 's'), ('sealcast.replay_dead_letters(text,uuid,bigint)', 'a'),
  ('sealcast.drop_dead_letters(text,uuid,bigint)', 'a'), ('sealcast.forget_transport(text)', 'a'), ('sealcast_internal.last_offset(uuid)', 'a'),
  ('sealcast.register_handler(text,text,regprocedure,integer,integer,interval,text,interval)', 'a'), ('sealcast.unregister_handler(text,boolean)', 'a'),
  ('sealcast.check_effects(text,timestamp with time zone,timestamp with time zone,integer)', 'a'),
  ('sealcast.replay_event_dead_letters(text,uuid,uuid,boolean)', 'a'), ('sealcast.drop_event_dead_letters(text,uuid,uuid,boolean)', 'a'),
  ('sealcast_internal.handlers_of(text)', 's'), ('sealcast_internal.event_groups()', 's'),
  ('sealcast.set_event_partitions(integer)', 'a'), ('sealcast_internal.event_partition_count(integer)', 's'), ('sealcast_internal.clean_session()', 's'),
  ('sealcast_internal.claim_partitions(text,text,integer,integer)', 's'), ('sealcast_internal.release_partitions(text,text)', 's'),
  ('sealcast_internal.events_carried_to()', 's'), ('sealcast_internal.finish_partitions(text,integer[],bigint[],bigint[],bigint)', 's'),
  ('sealcast_internal.apply_events(text,text,integer,bigint,text[],bigint[],text[])', 's'), ('sealcast_internal.fail_event(text,text,integer,bigint,text,bigint,text)', 's'),
  ('sealcast_internal.events_to_retry(text,integer)', 's'), ('sealcast_internal.waiting_events(text)', 's'),
  ('sealcast_internal.event_dead_letters_to_replay(text,integer)', 's'), ('sealcast_internal.replay_plan(timestamp with time zone,uuid)', 's'),
  ('sealcast_internal.event_partitions_state()', 's'), ('sealcast_internal.note_event_partitions(bigint,integer[],bigint[],bigint[])', 's'), ('sealcast_internal.rewind_events(bigint)', 's'),
  ('sealcast.send_message(uuid,text,json,uuid)', 'au'),
  ('sealcast.mute(uuid,uuid,timestamp with time zone,text,text,interval)', 'au'), ('sealcast.ban(uuid,uuid,timestamp with time zone,text,text,interval)', 'au'),
  ('sealcast.redact_message(uuid,bigint,text)', 'au'), ('sealcast.redact_message(uuid,uuid,uuid,text)', 'au'),
  ('sealcast.redact_messages(uuid,uuid,timestamp with time zone,text)', 'au'), ('sealcast_internal.redact(uuid,bigint,uuid,uuid,text)', 'au'),
  ('sealcast_internal.redacted_envelope(sealcast.messages)', 'asu'), ('sealcast_internal.redacted_envelope_text(text,text,uuid,uuid,bigint,uuid,bytea,bytea)', 'asu'),
  ('sealcast.set_stream_rules(uuid,json)', 'au'), ('sealcast.stream_rules_of(uuid)', 'au'), ('sealcast.stream_state(uuid,text)', 'au'), ('sealcast.pin_message(uuid,bigint,text)', 'au'), ('sealcast.unpin_message(uuid)', 'au'), ('sealcast_internal.read_state(uuid)', 's'), ('sealcast_internal.gate_rules()', 's'), ('sealcast_internal.read_stream_rules(uuid)', 's'),
  ('sealcast.report_message(uuid,bigint,text,text)', 'au'), ('sealcast.reported_messages(uuid,integer,bigint,boolean)', 'au'),
  ('sealcast_internal.controls_hook(text)', 'a'),
  ('sealcast.approve_message(uuid)', 'au'), ('sealcast.deny_message(uuid,text)', 'au'), ('sealcast.held_messages_of(uuid,integer,uuid)', 'au'),
  ('sealcast.resolve_report(uuid,bigint,text,text)', 'au'), ('sealcast.moderation_log_of(uuid,uuid,uuid,integer)', 'au'),
  ('sealcast.restrictions_of(uuid,uuid)', 'au'), ('sealcast.add_blocked_term(uuid,text,text,boolean,text)', 'au'),
  ('sealcast.remove_blocked_term(uuid)', 'au'), ('sealcast.blocked_terms_of(uuid)', 'au'), ('sealcast.term_hits_of(uuid,timestamp with time zone,integer,uuid)', 'au'), ('sealcast.set_payee(uuid,uuid)', 'au'),
  ('sealcast.unmute(uuid,uuid)', 'au'), ('sealcast.unban(uuid,uuid)', 'au'), ('sealcast.set_role(uuid,uuid,text)', 'au'),
  ('sealcast_internal.restrict_user(text,uuid,uuid,timestamp with time zone,text,text,interval)', 'au'), ('sealcast_internal.lift_restriction(text,uuid,uuid)', 'au'),
  ('sealcast.caller_id()', 'au'), ('sealcast.claims()', 'au'), ('sealcast.caller_can_read(uuid)', 'au'), ('sealcast.caller_moderates(uuid)', 'au'),
  ('sealcast_internal.require_stream(uuid)', 'a'), ('sealcast_internal.require_cell(text)', 'a');
select results_eq(
  $$select f, roles from (
      select p.oid::regprocedure::text as f,
             concat(case when has_function_privilege('sealcast_admin', p.oid, 'execute') then 'a' end,
                    case when has_function_privilege('sealcast_service', p.oid, 'execute') then 's' end,
                    case when has_function_privilege('sealcast_user', p.oid, 'execute') then 'u' end) as roles
      from pg_proc p where p.pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace)) x where roles <> '' order by f$$,
  'select function, roles from granted order by function', 'each function may be executed by its roles only');
create role tap_nobody;
select is(array(select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace) and has_function_privilege('tap_nobody', p.oid, 'execute')),
          '{}'::text[], 'PUBLIC may execute no function');
select is(array(select s from unnest(array['sealcast', 'sealcast_internal']) s where has_schema_privilege('tap_nobody', s, 'usage')),
          '{}'::text[], 'PUBLIC has no USAGE on the schemas');
select is(array(select r || ' ' || s from unnest(array['sealcast_admin', 'sealcast_service', 'sealcast_user']) r, unnest(array['sealcast', 'sealcast_internal']) s
                where has_schema_privilege(r, s, 'create')),
          '{}'::text[], 'no role may create objects in the schemas');
select is(array(select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace) and p.prosecdef
                  and 'search_path=pg_catalog, pg_temp' <> all (coalesce(p.proconfig, '{}'))),
          '{}'::text[], 'each SECURITY DEFINER function has a pinned search_path');
select is(array(select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace) and p.prolang <> (select oid from pg_language where lanname = 'c')
                  and p.prosqlbody is null and 'search_path=pg_catalog, pg_temp' <> all (coalesce(p.proconfig, '{}')) order by p.proname),
          -- A procedure with settings cannot commit. 92_shadowing.sql calls these.
          '{sealcast.erase_user(uuid),sealcast.run_maintenance()}'::text[], 'each function that looks up names at run time has a pinned search_path');

-- The access to tables and columns: r(ead), w(rite: any privilege other than select).
create temp table access (relation text, admin text, service text, "user" text);
insert into access values
  ('blocked_terms', 'r', '', ''), ('term_hits', 'r', '', ''), ('held_messages', 'r', '', ''), ('cell_pins', 'rw', '', ''), ('cells', 'rw', '', ''),
  ('event_handlers', 'r', '', ''), ('event_effects', 'r', '', ''), ('event_attempts', 'r', '', ''), ('event_dead_letters', 'r', '', ''),
  ('event_leases', 'r', '', ''), ('event_workers', 'r', '', ''), ('event_partitions', 'r', '', ''), ('event_losses', 'r', '', ''),
  ('dead_letters', 'r', '', ''), ('deliveries', 'r', '', ''), ('delivery_lags', 'r', '', ''), ('message_types', 'rw', '', 'r'), ('messages', 'r', '', 'r'), ('moderation_log', 'r', '', 'r'), ('report_cases', 'r', '', 'r'), ('reports', 'r', '', ''), ('redactions', 'r', '', 'r'), ('retained_messages', 'r', '', ''), ('relay_leases', 'r', '', ''), ('relay_log', 'r', '', ''),
  ('relay_members', 'r', '', ''), ('restrictions', 'rw', '', 'r'), ('sampling', 'r', '', ''), ('switching', 'r', '', ''), ('delivery_changes', 'r', '', ''), ('stream_rules', 'r', '', 'r'), ('pins', 'r', '', 'r'), ('stream_runs', 'r', '', 'r'), ('stream_roles', 'rw', '', 'r'),
  ('streams', 'rw', '', 'r'), ('viewer_counts', 'r', '', ''), ('webhook_events', 'r', '', '');
create function pg_temp.access(role text, relation oid) returns text language sql as $$
  select concat(case when has_any_column_privilege(role, relation, 'select') then 'r' end,
                case when has_any_column_privilege(role, relation, 'insert') or has_any_column_privilege(role, relation, 'update')
                       or has_table_privilege(role, relation, 'delete') or has_table_privilege(role, relation, 'truncate')
                       or has_table_privilege(role, relation, 'trigger') or has_table_privilege(role, relation, 'references') then 'w' end) $$;
select results_eq(
  $$select relname::text collate "default", pg_temp.access('sealcast_admin', oid), pg_temp.access('sealcast_service', oid), pg_temp.access('sealcast_user', oid)
    from pg_class where relnamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace) and relkind in ('r', 'p')
      and pg_temp.access('sealcast_admin', oid) || pg_temp.access('sealcast_service', oid) || pg_temp.access('sealcast_user', oid) <> '' order by 1$$,
  'select * from access order by relation', 'each table may be accessed by its roles only');
select is(array(select c.relname::text from pg_class c where c.relnamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace) and c.relkind = 'S'
                and (has_sequence_privilege('sealcast_admin', c.oid, 'usage, select, update') or has_sequence_privilege('sealcast_service', c.oid, 'usage, select, update')
                     or has_sequence_privilege('sealcast_user', c.oid, 'usage, select, update'))), '{}'::text[], 'no role may use a sequence');
select is(array(select tgname::text from pg_trigger where tgrelid = 'sealcast.message_types'::regclass and tgname like 'require_hook_owner%' and tgenabled = 'O' order by 1),
          array['require_hook_owner', 'require_hook_owner_changed', 'require_hook_owner_deleted'], 'triggers check who may set the column that names code');

-- Statements that each role must not run.
create temp table attempts (who text, statement text);
insert into attempts values
  ('sealcast_user', $$select sealcast.sign('x')$$),
  ('sealcast_user', $$select sealcast.seal('chat', 'a', 'b', 'c', 1, '{}')$$),
  ('sealcast_user', $$select sealcast.admit('{}', '{}', '{}', '{}', '{}')$$),
  ('sealcast_user', $$select sealcast_internal.originals('{}', '{}')$$),
  ('sealcast_user', $$select sealcast.keys()$$),
  ('sealcast_user', $$select sealcast_internal.read_history('a0000000-0000-4000-8000-000000000002', 0, null, 1, false)$$),
  ('sealcast_user', $$select sealcast_internal.role_in('a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001')$$),
  ('sealcast_user', $$select sealcast.maintain()$$), ('sealcast_user', $$call sealcast.run_maintenance()$$),
  ('sealcast_user', $$insert into sealcast.messages select * from sealcast.messages returning 1$$),
  ('sealcast_user', $$insert into sealcast.stream_roles values ('a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000004', 'owner') returning 1$$),
  ('sealcast_user', $$delete from sealcast.restrictions returning 1$$),
  ('sealcast_user', $$select 1 from sealcast.txn_keys$$),
  ('sealcast_user', $$select 1 from sealcast_internal.outbox$$),
  ('sealcast_user', $$select 1 from sealcast_internal.outbox_0$$),
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
  ('sealcast_admin', $$update sealcast_internal.relay_leases set holder = null returning 1$$),
  ('sealcast_admin', $$select sealcast_internal.drain('x', '{0}', '{1}', 1)$$),
  ('sealcast_service', $$select 1 from sealcast.messages$$),
  ('sealcast_service', $$insert into sealcast_internal.outbox values ('1', 1, 1, 1, 'a0000000-0000-4000-8000-000000000001', 1, 1) returning 1$$),
  ('sealcast_service', $$select sealcast.send_message('a0000000-0000-4000-8000-000000000001', 'chat', '{}', gen_random_uuid())$$),
  ('sealcast_service', $$select sealcast.ban(null, 'b0000000-0000-4000-8000-000000000001')$$),
  ('sealcast_service', $$select sealcast_internal.rotate_outbox(0)$$),
  ('sealcast_service', $$select pg_read_file('/etc/passwd')$$),
  ('sealcast_service', $$select pg_ls_dir('.')$$),
  ('sealcast_service', $$select lo_import('/etc/passwd')$$),
  ('sealcast_service', $$select 1 from pg_authid$$),
  ('sealcast_service', $$select pg_reload_conf()$$),
  ('sealcast_service', $$copy (select 1) to program 'true'$$),
  ('sealcast_service', $$copy (select 1) to '/tmp/sealcast-tap'$$),
  ('sealcast_service', $$create function sealcast.mine() returns int language sql return 1$$),
  ('sealcast_service', $$create table sealcast.mine (x int)$$),
  ('sealcast_service', $$set session_replication_role = replica$$),
  ('sealcast_service', $$select set_config('sealcast.gate', 'off', true)$$),
  ('sealcast_service', $$select set_config('sealcast.cell', 'mine', true)$$),
  ('sealcast_service', $$insert into sealcast.message_types (t, system_only) values ('mine', false) returning 1$$),
  ('sealcast_service', $$update sealcast.message_types set system_only = false returning 1$$),
  ('sealcast_service', $$update sealcast.message_types set admit_hook = null returning 1$$),
  ('sealcast_service', $$delete from sealcast.message_types returning 1$$),
  ('sealcast_service', $$insert into sealcast.cells values ('mine', 'https://mine.example') returning 1$$),
  ('sealcast_service', $$update sealcast.cells set url = 'https://mine.example' returning 1$$),
  ('sealcast_service', $$insert into sealcast.cell_pins values ('a0000000-0000-4000-8000-000000000001', 'mine') returning 1$$),
  ('sealcast_service', $$update sealcast.streams set visibility = 'public' returning 1$$),
  ('sealcast_service', $$insert into sealcast.stream_roles values ('a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000004', 'owner') returning 1$$),
  ('sealcast_service', $$delete from sealcast.restrictions returning 1$$),
  ('sealcast_service', $$select sealcast.register_handler('mine', null, 'sealcast.keys()')$$),
  ('tap_nobody', $$select sealcast.canonicalize('{}'::json)$$);
select is(pg_temp.outcome(who, 'b0000000-0000-4000-8000-000000000004', statement), '42501', who || ' may not: ' || statement) from attempts;

-- The login of the sidecar cannot become another role.
create function pg_temp.logged_in(who text, statement text) returns text language plpgsql as $$
begin
  perform set_config('session_authorization', who, true);
  execute statement;
  raise exception using errcode = 'TDONE';
exception when others then
  return sqlstate;
end $$;
select is(pg_temp.logged_in('sealcast_service', 'set role ' || role), '42501', 'sealcast_service may not set role ' || role)
from (values ('sealcast_admin'), ('sealcast_user'), ('pg_read_all_data'), ('pg_execute_server_program'), (current_user)) v (role);
select is(pg_temp.logged_in('sealcast_service', 'set role sealcast_service'), 'TDONE', 'sealcast_service may set role sealcast_service');

-- The sidecar acts for users through call_as() alone, with their rights, whatever claims it sets for itself.
\set asAdmin '''{"sub":"b0000000-0000-4000-8000-000000000004","role":"sealcast_admin"}'''
select is(array(select f from (select distinct proname::text as f from pg_proc where pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace, 'pg_catalog'::regnamespace)) p
                where f <> all ('{mute,ban,unmute,unban,redact_message,redact_messages,set_role,add_blocked_term,remove_blocked_term,blocked_terms_of,term_hits_of,migrate_transport,set_stream_rules,pin_message,unpin_message,report_message,resolve_report,reported_messages,approve_message,deny_message,held_messages_of,moderation_log_of}')
                  and pg_temp.outcome('sealcast_service', :asAdmin, format('select sealcast_internal.call_as(%L, %L, ''{}'')', :owner, f)) <> 'PT404 not_found'),
          '{}'::text[], 'call_as() calls no function outside its list');
select is(pg_temp.outcome('sealcast_service', :asAdmin, format('select sealcast_internal.call_as(%L, %L, %L)', caller, f, json_build_object('user_id', :vip))),
          'PT403 role_required', format('call_as() refuses %s in all streams', f))
from unnest(array[:guest, :owner]) caller, unnest('{mute,ban,unmute,unban}'::text[]) f;
select sealcast.ban(null, :moderator) \g /dev/null
select is(result, expected, format('admit() checks the sender: %s gives %s', t, expected))
from (values (:moderator, 'chat', '403 user_banned'), (:guest, 'transport_migrate', '403 role_required')) v (sender, t, expected),
     lateral pg_temp.try('sealcast_service', :asAdmin, format('select concat_ws('' '', status, code) from sealcast.admit(array[%L]::uuid[], array[%L], array[%L]::uuid[], array[gen_random_uuid()], ''{"{}"}'')', :room, t, sender));
select sealcast.unban(null, :moderator) \g /dev/null

-- Partitions are read through their parent, whatever the default privileges grant.
do $$ begin execute format('grant select on sealcast.messages_%s to tap_nobody', to_char(now() at time zone 'UTC', 'YYYYMMDD')); end $$;
grant usage on schema sealcast to tap_nobody;
select pg_temp.admit(:cave, 'chat', :vip, '{}') \g /dev/null
select is(result, '0', 'a granted partition shows no rows by itself')
from pg_temp.try('tap_nobody', null, format('select count(*) from sealcast.messages_%s', to_char(now() at time zone 'UTC', 'YYYYMMDD')));

-- Objects of the caller with the same names change nothing.
create schema tap_mine; grant usage on schema tap_mine to sealcast_user; grant temporary on database :"DBNAME" to sealcast_user;
create function tap_mine.clock_timestamp() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
create function tap_mine.equal(uuid, uuid) returns boolean language plpgsql as $$ begin raise exception 'called as %', current_user; end $$;
create operator tap_mine.= (leftarg = uuid, rightarg = uuid, function = tap_mine.equal);
create function tap_mine.streams() returns int language sql as 'select 1';
set local search_path = tap_mine, public, pg_temp, pg_catalog;
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :room)), 'ok',
          'send_message() ignores a schema before pg_catalog in the search_path');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.mute(%L, %L)', :room, :guest)), 'ok', 'mute() ignores a schema before pg_catalog in the search_path');
select is(pg_temp.outcome('sealcast_user', :guest, 'select count(*) from sealcast.messages'), 'ok', 'policies ignore a schema before pg_catalog in the search_path');
set local search_path = public, pg_temp;
create function pg_temp.now() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
create temp table streams (stream_id uuid, visibility text);
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :cave)), 'ok', 'send_message() ignores objects in pg_temp');

-- A member of sealcast_admin is an admin. A session that has become sealcast_user is none, whatever its login.
create role tap_staff; grant sealcast_admin to tap_staff;
select is(pg_temp.outcome('tap_staff', null, format('select sealcast.ban(null, %L)', :guest)), 'ok', 'a member of sealcast_admin may ban in all streams');
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.ban(null, %L)', :vip)), 'PT403 role_required', 'a superuser who became sealcast_user may not ban in all streams');
select * from finish();
rollback;
