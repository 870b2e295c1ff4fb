-- Tests the objects of the extension (roles, tables, types, functions), and that DROP EXTENSION removes all of them.
begin;
\ir scene.psql
select plan(56);

select has_schema('sealcast', 'the extension has its schema for users');
select has_schema('sealcast_internal', 'the extension has its internal schema');
select is(r.rolname || ' ' || r.rolcanlogin || r.rolsuper || r.rolcreaterole || r.rolbypassrls, r.rolname || ' falsefalsefalsefalse',
          r.rolname || ' is a plain group role')
from pg_roles r where r.rolname in ('sealcast_admin', 'sealcast_service', 'sealcast_user') order by 1;
select is((select count(*) from pg_roles where rolname like 'sealcast\_%' and not rolcanlogin), 3::bigint, 'there are three roles, none of which may log in');

select tables_are('sealcast', array(
  select unnest(array['streams', 'stream_roles', 'restrictions', 'moderation_log', 'report_cases', 'reports', 'blocked_terms', 'term_hits', 'held_messages', 'message_types', 'added_types', 'txn_keys', 'messages', 'redactions', 'retained_messages', 'stream_runs', 'deliveries', 'delivery_lags',
    'dead_letters', 'webhook_events', 'viewer_counts', 'sampling', 'switching', 'delivery_changes', 'cells', 'cell_pins', 'retention', 'stream_rules', 'pins',
    'event_handlers', 'event_effects', 'event_attempts', 'event_dead_letters'])
  union all select c.relname from sealcast_internal.partitions('sealcast.messages') p join pg_class c on c.oid = p.partition
  union all select c.relname from sealcast_internal.partitions('sealcast.stream_runs') p join pg_class c on c.oid = p.partition));
select tables_are('sealcast_internal', array['outbox', 'outbox_0', 'outbox_1', 'outbox_2', 'relay_leases', 'relay_members', 'relay_log', 'revocations', 'user_notices', 'webhook_subscription', 'maintenance', 'trim_passes', 'erasures', 'erasure_messages', 'current_log',
  'row_keys', 'event_leases', 'event_workers', 'event_partitions', 'event_losses']);
select is(array(select c.relname::text from pg_class c where c.relnamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace)
                and c.relkind in ('r', 'p') and not c.relrowsecurity and c.relname not like 'outbox\__' order by 1),
          '{}'::text[], 'row-level security is on for every table that a role could be granted');
-- Partitions are dumped as tables of their own, and the others are what a restored database begins anew (99_dump.sql).
select is(array(select c.oid::regclass::text from pg_class c join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
                join pg_extension e on d.refclassid = 'pg_extension'::regclass and e.oid = d.refobjid
                where e.extname = 'sealcast' and c.relkind in ('r', 'p', 'S') and not c.oid = any (e.extconfig) order by 1),
          array['sealcast.deliveries', 'sealcast.messages', 'sealcast.stream_runs', 'sealcast.viewer_counts', 'sealcast_internal.current_log',
                'sealcast_internal.erasure_messages', 'sealcast_internal.erasures', 'sealcast_internal.event_leases', 'sealcast_internal.event_losses', 'sealcast_internal.event_partitions', 'sealcast_internal.event_workers',
                'sealcast_internal.maintenance', 'sealcast_internal.outbox', 'sealcast_internal.outbox_0', 'sealcast_internal.outbox_1', 'sealcast_internal.outbox_2',
                'sealcast_internal.outbox_segment', 'sealcast_internal.relay_leases', 'sealcast_internal.relay_log', 'sealcast_internal.relay_members',
                'sealcast_internal.revocations', 'sealcast_internal.revocations_revocation_id_seq', 'sealcast_internal.trim_passes', 'sealcast_internal.user_notices', 'sealcast_internal.user_notices_notice_id_seq'], 'every other table is dumped');
select col_is_pk('sealcast', 'txn_keys', array['sender_id', 'txn_id'], 'txn_keys is the only uniqueness of messages');
select is((select relkind::text from pg_class where oid = 'sealcast.txn_keys'::regclass), 'r', 'txn_keys is not partitioned');
select is(pg_get_partkeydef('sealcast.messages'::regclass), 'RANGE (ts)', 'messages are partitioned by ts');
select is(pg_get_partkeydef('sealcast.stream_runs'::regclass), 'RANGE (logged_at)', 'the log of offsets is partitioned by logged_at');
select is(pg_get_partkeydef('sealcast_internal.outbox'::regclass), 'LIST (segment)', 'the outbox has segments');

select is(array(select attname || ' ' || format_type(atttypid, null) from pg_attribute
                where attrelid = 'sealcast.verdict'::regclass and attnum > 0 order by attnum),
          array['item integer', 'status integer', 'code text', 'message text', 'details text', 'hint text',
                'retry_after_ms bigint', 'replayed boolean', 'envelope text'], 'the type verdict has its documented columns');
select is(array(select attname || ' ' || format_type(atttypid, null) from pg_attribute
                where attrelid = 'sealcast.refusal'::regclass and attnum > 0 order by attnum),
          array['status integer', 'code text', 'message text', 'hint text'], 'the type refusal has its documented columns');

select is(array(select attname || ' ' || format_type(atttypid, null) from pg_attribute
                where attrelid = 'sealcast.health'::regclass and attnum > 0 order by attnum),
          array['name text', 'subject text', 'value numeric', 'ok boolean', 'detail text'], 'the view health has its documented columns');
select is(array(select attname || ' ' || format_type(atttypid, null) from pg_attribute
                where attrelid = 'sealcast.event'::regclass and attnum > 0 order by attnum),
          array['t text', 'stream_id uuid', 'sender_id uuid', 'txn_id uuid', 'ts bigint', 'offset bigint', 'd json', 'envelope json'], 'the type event has its documented columns');

-- The public functions and their result types.
create temp table outward (signature text, result text);
insert into outward values
  ('sealcast.canonicalize(json)', 'text'), ('sealcast.canonicalize(jsonb)', 'text'),
  ('sealcast.payload_hash(json)', 'text'), ('sealcast.payload_hash(jsonb)', 'text'),
  ('sealcast.signing_string(text,text,text,text,bigint,text)', 'text'),
  ('sealcast.sign(text,text)', 'text'), ('sealcast.seal(text,text,text,text,bigint,json)', 'json'),
  ('sealcast.verify(json,interval)', 'boolean'), ('sealcast.verify(jsonb,interval)', 'boolean'),
  ('sealcast.verify_detail(json,interval)', 'text'), ('sealcast.verify_detail(jsonb,interval)', 'text'),
  ('sealcast.keys()', 'SETOF record'), ('sealcast.public_keys()', 'json'), ('sealcast.send_message(uuid,text,json,uuid)', 'json'),
  ('sealcast.admit(uuid[],text[],uuid[],uuid[],text[])', 'SETOF sealcast.verdict'),
  ('sealcast.mute(uuid,uuid,timestamp with time zone,text,text,interval)', 'void'),
  ('sealcast.ban(uuid,uuid,timestamp with time zone,text,text,interval)', 'void'),
  ('sealcast.unmute(uuid,uuid)', 'boolean'), ('sealcast.unban(uuid,uuid)', 'boolean'),
  ('sealcast.set_role(uuid,uuid,text)', 'void'),
  ('sealcast.interface_version()', 'integer'), ('sealcast_internal.claim_shards(text,integer,text[])', 'SETOF record'), ('sealcast_internal.release_shards(text)', 'void'),
  ('sealcast_internal.drain(text,integer[],bigint[],integer)', 'SETOF record'),
  ('sealcast_internal.tail(integer[],bigint[],integer)', 'SETOF record'),
  ('sealcast_internal.settle(text,integer[],bigint[],bigint[])', 'void'),
  ('sealcast.history(uuid,bigint,bigint,integer,text)', 'SETOF record'),
  ('sealcast_internal.stream_access(uuid,uuid)', 'record'), ('sealcast_internal.gate_limits()', 'SETOF record'),
  ('sealcast_internal.roles_of(uuid[],uuid[])', 'SETOF record'),
  ('sealcast.register_handler(text,text,regprocedure,integer,integer,interval,text,interval)', 'void'),
  ('sealcast.unregister_handler(text,boolean)', 'void'),
  ('sealcast.seal_row()', 'trigger'), ('sealcast.idempotent_insert()', 'trigger');
select is(pg_get_function_result(to_regprocedure(signature)), result, signature || ' returns ' || result) from outward;
select is(array(select p.oid::regprocedure::text from pg_proc p
                where p.pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace) and p.proname ~ '^(canonicalize|payload_hash|signing_string)$'
                  and (p.provolatile, p.proparallel, p.proisstrict) <> ('i', 's', true)),
          '{}'::text[], 'the pure functions are immutable, parallel safe and strict');

-- DROP EXTENSION leaves only the roles.
drop extension sealcast;
select hasnt_schema('sealcast', 'DROP EXTENSION removes the schema for users');
select hasnt_schema('sealcast_internal', 'DROP EXTENSION removes the internal schema');
select * from finish();
rollback;
