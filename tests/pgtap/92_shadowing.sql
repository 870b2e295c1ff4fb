-- Tests that no function of the two schemas can be hijacked: each is called with objects of the caller in front of
-- every name that it uses.
begin;
\ir economy.psql
select plan(7);

create temp table schemas (schema text);
insert into schemas values ('sealcast'), ('sealcast_internal'), ('sealcast_economy');

-- Rows for the functions to find: a relayed message that was reported, a restriction, an envelope, and a paid gift.
select pg_temp.admit(:room, 'chat', :guest, '{"content":"x"}') \g /dev/null
select sealcast_internal.claim_shards('x', 60000) \g /dev/null
select sealcast_internal.drain('x', array_agg(shard::integer), array_agg(epoch), 10) from sealcast_internal.relay_leases \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) select :room, 1, 1, ts, ts, message_id from sealcast.messages;
insert into sealcast.report_cases (stream_id, "offset", sender_id, envelope) values (:room, 1, :guest, '{}');
insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at)
  values ('c0000000-0000-4000-8000-000000000002', :room, :guest, gen_random_uuid(), 'chat', '{}', '', 'rule', now(), now() + interval '1 hour');
select sealcast.mute(:room, :vip) \g /dev/null
insert into sealcast.blocked_terms (term_id, stream_id, term, kind) values ('c0000000-0000-4000-8000-000000000001', :room, 'tap+', 'pattern');
select quote_literal(sealcast.seal('chat', :room, :guest, 'x', 1, '{}')) as envelope \gset
select sealcast_economy.deposit(u, 1000, 'USD', u::text) from unnest(array[:guest, :owner]::uuid[]) u \g /dev/null
select gen_random_uuid() as gift \gset
select pg_temp.admit(:room, 'gift', :guest, '{"amount":100}', :'gift') \g /dev/null
select pg_temp.settle() \g /dev/null

-- The shadows: a schema in front of pg_catalog has an object with the name of each function, operator and type there.
-- The schema and pg_temp also have objects with the names of the tables of both extensions. A call of a shadow raises
-- assert_failure, which `when others` does not catch.
create schema tap_mine;
create function tap_mine.caught() returns boolean language plpgsql as $$
begin raise exception 'a shadow was called as %', current_user using errcode = 'assert_failure'; end $$;
do $$
declare
  shadow record;
begin
  for shadow in
    select format('create function tap_mine.%I(%s) returns %s language plpgsql as %L', p.proname, p.args,
                  p.prorettype::regtype, 'begin perform tap_mine.caught(); return null; end') as statement
    from (select proname, prorettype, array_to_string(proargtypes::regtype[], ', ') as args, proargtypes
          from pg_proc where pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'a')
            and not proretset) p
    where not exists (select from pg_type y where y.oid = any (p.proargtypes::oid[] || p.prorettype) and y.typtype = 'p')
    union all
    select format('create operator tap_mine.%s (%s rightarg = %s, function = tap_mine.%I)', o.oprname,
                  case when o.oprleft <> 0 then format('leftarg = %s,', o.oprleft::regtype) end, o.oprright::regtype, p.proname)
    from pg_operator o join pg_proc p on p.oid = o.oprcode
    where o.oprnamespace = 'pg_catalog'::regnamespace and p.pronamespace = 'pg_catalog'::regnamespace
      and not exists (select from pg_type y where y.oid in (o.oprleft, o.oprright, o.oprresult) and y.typtype = 'p')
    union all
    select format('create table %s.%I (%s)', place, c.relname,
                  (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
                   from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))
    from pg_class c, unnest(array['tap_mine', 'pg_temp']) place
    where (c.relnamespace = 'pg_catalog'::regnamespace or c.relnamespace in (select schema::regnamespace from schemas)) and c.relkind in ('r', 'p', 'v')
      and not c.relispartition
      and not exists (select from pg_attribute a join pg_type y on y.oid = a.atttypid
                      where a.attrelid = c.oid and a.attnum > 0 and y.typtype = 'p')
  loop
    begin
      execute shadow.statement;
    -- Some operators and tables cannot exist outside pg_catalog.
    exception when invalid_function_definition or invalid_table_definition or duplicate_column then null;
    end;
  end loop;
  for shadow in
    select format('create domain %s.%I as text check (tap_mine.caught())', place, typname) as statement
    from pg_type, unnest(array['tap_mine', 'pg_temp']) place
    where typnamespace = 'pg_catalog'::regnamespace and typtype = 'b' and typelem = 0
  loop
    execute shadow.statement;
  end loop;
end $$;
grant usage on schema tap_mine to public;
grant execute on all functions in schema tap_mine to public;

-- Returns how a statement ends behind these shadows, with its deferred triggers. All changes are rolled back.
create function pg_temp.behind_shadows(as_role text, sub text, statement text, path text) returns text
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  state text;
  message text;
begin
  perform set_config('request.jwt.claims', case when sub is null then '' else json_build_object('sub', sub)::text end, true);
  perform set_config('role', as_role, true);
  perform set_config('search_path', path, true);
  begin
    execute statement;
    set constraints all immediate;
    raise exception using errcode = 'TDONE';
  exception when others or assert_failure then
    get stacked diagnostics state = returned_sqlstate, message = message_text;
  end;
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  perform pg_catalog.set_config('role', 'none', true);
  return case state when 'TDONE' then 'ok' when 'P0004' then 'caught: ' || message else state || ' ' || message end;
end $$;

-- Returns an argument for a parameter: a value for its name that leads deep into the function, else a valid value for
-- its type. The types are qualified, because the text of the call is not under test.
create function public.tap_handler(e sealcast.event) returns void language sql security definer as '';
grant execute on function public.tap_handler(sealcast.event) to sealcast_service;
select sealcast.register_handler('x', 'chat', 'public.tap_handler(sealcast.event)') \g /dev/null
create temp table named_arguments (name text, value text);
insert into named_arguments values
  ('held_id', 'c0000000-0000-4000-8000-000000000002'), ('held_by', 'rule'),
  ('kind text', 'mute'), ('outcome text', 'acted'), ('role', 'vip'), ('t', 'chat'), ('types', '{chat}'), ('payloads', '{"{}"}'), ('mode', 'hot'),
  ('stream_id', :room), ('stream_ids', format('{%s}', :room)), ('user_id', :guest), ('user_ids', format('{%s}', :guest)),
  ('caller', :owner), ('sender_id', :owner), ('sender_ids', format('{%s}', :owner)), ('until', '2100-01-01'), ('kid', 'k1'),
  ('target text', 'sse'), ('function text', 'ban'), ('function regprocedure', 'public.tap_handler(sealcast.event)'), ('function_name text', 'public.tap_handler(sealcast.event)'), ('timeout', '5 s'), ('lease_ms', '3000'), ('every_ms', '3000'),
  ('arguments', format('{"stream_id":%s,"user_id":%s}', to_json(:room::text), to_json(:guest::text))),
  ('rules json', '{"slow_mode_s":9}'), ('changes', '{"slow_mode_s":9}'), ('rates jsonb', '{"chat":1}'),
  ('currency', 'USD'), ('reference', 'ref'), ('transfer_kind', 'deposit'), ('event sealcast.event', pg_temp.event(:'gift')::text),
  ('postings', format('{"(wallet,%s,1)","(outside,%s,-1)"}', :owner, :system)),
  ('key', 'ts'), ('primary_key', 'ts, message_id'), ('sig', '\x' || repeat('00', 32)),
  ('envelope', :envelope), ('keep', '30 days'), ('condition', 'true'), ('keep_txn_ids', '7 days'), ('shards', '{0}'),
  ('epochs', (select format('{%s}', epoch) from sealcast_internal.relay_leases where shard = 0));
create temp table typed_arguments (type text, value text);
insert into typed_arguments values
  ('uuid', 'c0000000-0000-4000-8000-000000000001'), ('uuid[]', '{c0000000-0000-4000-8000-000000000001}'),
  ('text', 'x'), ('text[]', '{x}'), ('boolean', 'true'), ('integer', '1'), ('integer[]', '{0}'), ('smallint', '1'),
  ('bigint', '1'), ('bigint[]', '{1}'), ('bytea', '\x00'), ('json', '{"content":"x"}'), ('jsonb', '{"content":"x"}'),
  ('timestamp with time zone', '2100-01-01'), ('interval', '1 day'), ('date', '2100-01-01'),
  ('regclass', 'sealcast.messages'), ('regprocedure', 'sealcast.keys()'),
  ('sealcast_economy.account_kind', 'wallet'),
  ('sealcast.restrictions', (select r::text from sealcast.restrictions r limit 1)),
  ('sealcast.stream_roles', (select r::text from sealcast.stream_roles r limit 1)),
  ('sealcast.event_handlers', (select h::text from sealcast.event_handlers h where name = 'x'));
create function pg_temp.argument(name text, type oid) returns text language sql as $$
  select format('%L::%I.%I', coalesce((select value from named_arguments n
                                       where n.name in (argument.name, argument.name || ' ' || type::regtype)),
                                      (select value from typed_arguments t where t.type = argument.type::regtype::text)),
                y.typnamespace::regnamespace, y.typname)
  from pg_type y where y.oid = type
$$;
-- Returns the first of sealcast_user, sealcast_admin and sealcast_service that may execute the function: the caller with
-- the fewest rights has the most to gain. none: other functions of the schema call it.
create function pg_temp.caller(function oid) returns text language sql as $$
  select coalesce((select r from unnest(array['sealcast_user', 'sealcast_admin', 'sealcast_service']) with ordinality roles (r, n)
                   where has_function_privilege(r, function, 'execute') and has_schema_privilege(r, p.pronamespace, 'usage')
                   order by n limit 1), 'none')
  from pg_proc p where p.oid = function
$$;
create function pg_temp.call(function oid) returns text language sql as $$
  select format('select * from %I.%I(%s)', p.pronamespace::regnamespace, p.proname,
                (select string_agg(pg_temp.argument(p.proargnames[n], type), ', ' order by n)
                 from unnest(p.proargtypes::oid[]) with ordinality parameters (type, n)))
  from pg_proc p where p.oid = function
$$;

create temp table tries (what text, who text, statement text);
insert into tries
  select p.oid::regprocedure::text, pg_temp.caller(p.oid), pg_temp.call(p.oid)
  from pg_proc p join schemas on p.pronamespace = schema::regnamespace
  where p.prokind = 'f' and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
  union all
  -- The policies of each table, and the views.
  select c.oid::regclass::text, r, format('select * from %s', c.oid::regclass)
  from pg_class c join schemas on c.relnamespace = schema::regnamespace, unnest(array['sealcast_user', 'sealcast_admin']) r
  where c.relkind in ('r', 'p', 'v') and has_table_privilege(r, c.oid, 'select')
  union all
  -- The triggers, and the procedures.
  values ('sealcast.run_maintenance()', 'sealcast_admin', 'call sealcast.run_maintenance()'),
         ('sealcast.erase_user(uuid)', 'sealcast_admin', format('call sealcast.erase_user(%L)', :guest)),
         ('sealcast_internal.require_hook_owner()', current_user, 'delete from sealcast.message_types'),
         ('sealcast_internal.qualify_hook()', current_user, 'update sealcast.message_types set admit_hook = admit_hook'),
         ('sealcast_internal.require_defaults()', 'sealcast_admin', $$update sealcast.message_types set rate = 7$$),
         ('sealcast_internal.delete_with_streams()', 'sealcast_admin', $$delete from sealcast.streams$$),
         ('sealcast_internal.refuse_stream_id_change()', 'sealcast_admin', format('update sealcast.streams set stream_id = %L', :nowhere)),
         ('sealcast_internal.refuse_pinned_cells()', 'sealcast_admin', $$delete from sealcast.cells$$),
         ('sealcast_internal.refuse_orphans()', current_user, 'truncate sealcast.streams'),
         ('sealcast_internal.refuse_column_changes()', current_user, 'alter table sealcast.streams add slug text'),
         ('sealcast_internal.log_inserted_restrictions()', 'sealcast_admin', format('insert into sealcast.restrictions (user_id, kind) values (%L, ''ban'')', :guest)),
         ('sealcast_internal.log_changed_restriction()', 'sealcast_admin', $$update sealcast.restrictions set note = 'x'$$),
         ('sealcast_internal.log_inserted_roles()', 'sealcast_admin', format('insert into sealcast.stream_roles (stream_id, user_id, role) values (%L, %L, ''vip'')', :room, :nowhere)),
         ('sealcast_internal.log_changed_role()', 'sealcast_admin', $$update sealcast.stream_roles set role = 'x'$$),
         ('sealcast_internal.log_changed_stream()', 'sealcast_admin', $$update sealcast.streams set closed_at = '2020-01-01'$$),
         ('sealcast_internal.notice_inserted_restrictions()', 'sealcast_admin', format('insert into sealcast.restrictions (user_id, kind) values (%L, ''mute'')', :guest)),
         ('sealcast_internal.notice_changed_restriction()', 'sealcast_admin', $$update sealcast.restrictions set until = '2100-01-01'$$),
         ('sealcast_internal.notice_inserted_roles()', 'sealcast_admin', format('insert into sealcast.stream_roles (stream_id, user_id, role) values (%L, %L, ''friend'')', :room, :nowhere)),
         ('sealcast_internal.notice_changed_role()', 'sealcast_admin', $$update sealcast.stream_roles set role = 'y'$$),
         ('sealcast_internal.notice_changed_stream()', 'sealcast_admin', $$update sealcast.streams set closed_at = '2021-01-01'$$),
         ('sealcast_internal.refuse_log_change()', current_user, 'truncate sealcast.moderation_log'),
         ('sealcast_internal.note_delivery_change()', 'sealcast_admin', $$update sealcast.streams set delivery_mode = 'hot'$$),
         ('sealcast_internal.revoke_tokens_of_banned()', 'sealcast_admin', format($$insert into sealcast.restrictions (user_id, kind) values (%L, 'ban')$$, :vip)),
         ('sealcast_internal.revoke_tokens_of_member()', 'sealcast_admin', 'delete from sealcast.stream_roles'),
         ('sealcast_internal.note_term_change()', 'sealcast_user', format('select sealcast.add_blocked_term(%L, ''x.y'', ''pattern'')', :room)),
         ('sealcast.seal_row()', 'sealcast_user', $$insert into public.tap_sealed values ('u', 'x', '{}')$$),
         ('sealcast.idempotent_insert()', 'sealcast_user', $$insert into public.tap_keyed values ('u', 'x')$$),
         ('sealcast_internal.row_companion()', 'sealcast_user', $$insert into public.tap_keyed values ('u', 'y')$$),
         ('sealcast_internal.after_ddl()', current_user, 'create trigger more before insert on public.tap_keyed for each row execute function sealcast.idempotent_insert(''author'', ''txn'')'),
         ('sealcast_economy.refuse_change()', 'none', 'delete from sealcast_economy.entries'),
         ('sealcast_economy.settle_balances()', 'sealcast_admin', pg_temp.call('sealcast_economy.deposit(uuid,bigint,text,text)'::regprocedure));
create table public.tap_sealed (author text, txn text, body json);
create trigger sealing before insert on public.tap_sealed
  for each row execute function sealcast.seal_row('body', 'note', 'author', 'author', 'txn');
create table public.tap_keyed (author text, txn text);
create trigger keying before insert on public.tap_keyed for each row execute function sealcast.idempotent_insert('author', 'txn');
grant insert on public.tap_sealed, public.tap_keyed to sealcast_user;

create temp table outcomes as
  select what, path, pg_temp.behind_shadows(who, :owner, statement, path) as outcome
  from tries, unnest(array['tap_mine, public, pg_temp, pg_catalog', 'pg_temp, public, pg_catalog']) path;
select is(array(select what || ': ' || outcome from outcomes where outcome like 'caught%'), '{}'::text[], 'no function calls a shadow');
select is(array(select p.oid::regprocedure::text from pg_proc p join schemas on p.pronamespace = schema::regnamespace
                where p.prokind = 'f'
                  and p.oid::regprocedure::text not in (select what from outcomes)),
          '{}'::text[], 'every function was called');
select results_eq($$select distinct what, outcome from outcomes where outcome <> 'ok' order by 1$$,
                  $$values -- A valid kind is tried with note_term_change().
                           ('sealcast.add_blocked_term(uuid,text,text,boolean,text)', 'PT400 the kind of the term is invalid'),
                           -- The procedures have called everything before they commit.
                           ('sealcast.erase_user(uuid)', '2D000 invalid transaction termination'),
                           ('sealcast.history(uuid,bigint,bigint,integer,text)', 'PT400 there is no such channel'),
                           ('sealcast.redact_message(uuid,uuid,uuid,text)', 'PT404 the stream has no such message'),
                           -- purge_messages() is tried by itself.
                           ('sealcast.redact_messages(uuid,uuid,timestamp with time zone,text)', 'PT400 since 2100-01-01 00:00:00+00 is in the future'),
                           ('sealcast.run_maintenance()', '2D000 invalid transaction termination'),
                           ('sealcast.stream_state(uuid,text)', 'PT400 there is no such channel'),
                           -- deposit() passes valid arguments to this function.
                           ('sealcast_economy.post(text,text,sealcast_economy.posting[],uuid,uuid,text)',
                            '23514 new row for relation "transfers" violates check constraint "transfers_cause"'),
                           ('sealcast_economy.refuse_change()', '55000 sealcast_economy.entries is append-only'),
                           -- Only the system may send the type, and users send the one of the argument.
                           ('sealcast_internal.announce_redaction(uuid,text,json)', 'PT403 you may not send messages of type chat'),
                           -- The argument names no act.
                           ('sealcast_internal.authorise(text,uuid,uuid)', 'P0002 query returned no rows'),
                           ('sealcast_internal.authorise_and_lock(text,uuid,uuid)', 'P0002 query returned no rows'),
                           -- It drops the temporary tables of its session, and the tables of this test are in use.
                           ('sealcast_internal.clean_session()', '55006 cannot DROP TABLE "outcomes" because it is being used by active queries in this session'),
                           -- The argument is no table of an erasure.
                           ('sealcast_internal.erase_in_pages(uuid,regclass,tid,tid)', '20000 case not found'),
                           ('sealcast_internal.redact(uuid,bigint,uuid,uuid,text)', 'PT400 the message is not named'),
                           ('sealcast_internal.refuse(integer,text,text,text,text,bigint)', 'PT001 x'),
                           ('sealcast_internal.refuse_column_changes()', '0A000 the columns of table sealcast.streams belong to the extension sealcast'),
                           ('sealcast_internal.refuse_decided(sealcast.held_messages)', 'PT409 the message is  already'),
  ('sealcast_internal.refuse_log_change()', '55000 sealcast.moderation_log is append-only'),
                           ('sealcast_internal.refuse_orphans()', '23503 other tables still name the streams'),
                           ('sealcast_internal.refuse_stream_id_change()', '55000 the stream_id of a stream cannot change'),
                           ('sealcast_internal.require_cell(text)', '23503 cell x does not exist'),
                           ('sealcast_internal.require_channel(text)', 'PT400 there is no such channel'),
                           ('sealcast_internal.retained_key(text)', '22P02 invalid input syntax for type json')$$, 'behind the shadows, all other calls succeed');

-- The shadows catch a function that is not pinned.
create function pg_temp.careless(body text) returns text language plpgsql as $$
begin
  execute format('create or replace function sealcast.tap_careless() returns bigint language plpgsql security definer as %L',
                 format('begin return (%s); end', body));
  grant execute on function sealcast.tap_careless() to sealcast_user;
  return pg_temp.behind_shadows('sealcast_user', null, 'select sealcast.tap_careless()', 'tap_mine, public, pg_temp, pg_catalog');
end $$;
select is(pg_temp.careless(body), 'caught: a shadow was called as ' || current_user, 'the shadows catch a careless function with ' || body)
from unnest(array['length(''x'')', '1 + 1', 'select max(epoch) from sealcast_internal.relay_leases', '(''x''::text)::int']) body;
select * from finish();
rollback;
