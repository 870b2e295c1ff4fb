-- Tests sealcast_economy as a whole: register(), the audit, privileges, and DROP EXTENSION.
begin;
\ir economy.psql
select plan(70);

-- register()
select is((select count(*) from sealcast_economy.register() where action = 'added'), 0::bigint, 'a second call of register() adds nothing');
select is((select array_agg(currency) from sealcast_economy.currencies where by_default), '{USD}', 'register() adds a default currency');
delete from sealcast.message_types where t = 'gift';
insert into sealcast.message_types (t, rate) values ('gift', 3);
select is((select object from sealcast_economy.register() where action = 'added'), 'message type gift with its admit hook', 'register() adds the hook to an existing type gift');
select is((select rate from sealcast.message_types where t = 'gift'), 3, 'register() keeps the other columns of the type');
create function pg_temp.hook(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as 'select null::sealcast.refusal';
update sealcast.message_types set admit_hook = 'pg_temp.hook(uuid,uuid,text,uuid,json)'::regprocedure where t = 'gift';
select throws_ok('select sealcast_economy.register()', '55000', 'message type gift has another admit hook', 'register() does not replace another hook');
update sealcast.message_types set admit_hook = null where t = 'gift';
select sealcast_economy.register() \g /dev/null
select has_function('sealcast_economy', handler, array[argument], handler || ' is a handler')
from (values ('xp_on_events', 'sealcast.event[]'), ('gift_on_event', 'sealcast.event'), ('aggregates_on_events', 'sealcast.event[]')) h (handler, argument);

-- Messages with every kind of effect.
select sealcast_economy.deposit(:guest, 1000, 'USD', 'payment') \g /dev/null
select pg_temp.settle() \g /dev/null
select is((select array_agg(v.status order by item) from sealcast.admit(array_fill(:room::uuid, array[6]), '{chat,chat,chat,reaction,gift,gift}',
  array[:guest, :guest, :vip, :vip, :guest, :guest]::uuid[], array(select gen_random_uuid() from generate_series(1, 6)),
  '{"{}","{}","{}","{}","{\"amount\":100}","{\"amount\":7}"}') v), array[200, 200, 200, 200, 200, 200], 'messages of users are admitted');
select is((select v.status from sealcast.admit(array[:room::uuid], '{viewer_count_update}', array[:system::uuid], array[gen_random_uuid()], '{"{}"}') v), 200, 'a message of the system is admitted');
select pg_temp.settle() \g /dev/null
select is((select array_agg(distinct what order by what) from sealcast_economy.audit()), '{gift,"messages of a minute","messages of a user","xp of a day"}', 'the audit finds the messages without effects');
create function pg_temp.apply_all() returns void language sql as $$
  select sealcast_economy.xp_on_events(array[pg_temp.event(m.txn_id)]), sealcast_economy.aggregates_on_events(array[pg_temp.event(m.txn_id)]),
         case m.t when 'gift' then sealcast_economy.gift_on_event(pg_temp.event(m.txn_id)) end
  from sealcast.messages m order by m.message_id $$;
select pg_temp.apply_all() \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.audit(), 'sound', 'after all effects are applied, the audit finds nothing');
select is((select total from sealcast_economy.xp where user_id = :guest), 22::bigint, 'two messages and two gifts earn 22 points');

-- Faults that the audit must find, with the kind of each finding.
create temp table faults (fault text, what text);
insert into faults values
  ('update sealcast_economy.xp_days set messages = messages + 1 where t = ''chat''', 'xp of a day'),
  ('update sealcast_economy.xp_days set points = points - 1 where t = ''gift''', 'xp'),
  ('update sealcast_economy.xp_days set points = points - 1 where t = ''gift''', 'xp of a day'),
  ('update sealcast_economy.xp set total = total + 1', 'xp'),
  ('delete from sealcast_economy.xp', 'xp'),
  ('insert into sealcast_economy.xp values (gen_random_uuid(), 5)', 'xp'),
  ('delete from sealcast_economy.stream_minutes', 'messages of a minute'),
  ('update sealcast_economy.stream_minutes set minute = minute + interval ''1 minute''', 'messages of a minute'),
  ('update sealcast_economy.chatters set messages = messages + 1', 'messages of a user'),
  ('update sealcast_economy.accounts set balance = balance + 1 where kind = ''platform''', 'balance'),
  ('delete from sealcast_economy.accounts where kind = ''earnings''', 'balance'),
  ('insert into sealcast_economy.holds values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), ''USD'', 5, 0)', 'balance'),
  ('insert into sealcast_economy.transfers (kind, reference) values (''deposit'', ''empty'')', 'transfer'),
  ('update sealcast.messages set d = replace(d, ''100'', ''101'') where t = ''gift''', 'gift'),
  ('alter table sealcast_economy.entries disable trigger user; delete from sealcast_economy.entries where amount = 30', 'transfer'),
  ('alter table sealcast_economy.entries disable trigger user; update sealcast_economy.entries set amount = amount * 2 where kind <> ''hold''', 'balance');
create function pg_temp.found(fault text, what text) returns boolean language plpgsql as $$
declare
  found boolean;
begin
  begin
    execute fault;
    found := exists (select from sealcast_economy.audit() a where a.what = found.what);
    raise exception using errcode = 'TAPUN';
  exception when sqlstate 'TAPUN' then
    return found;
  end;
end $$;
select ok(pg_temp.found(fault, what), 'the audit finds ' || fault) from faults;
select is(pg_temp.audit(), 'sound', 'after the faults were rolled back, the audit finds nothing');
-- An audit of some days.
update sealcast_economy.chatters set messages = messages + 1;
select is((select count(*) from sealcast_economy.audit((now() at time zone 'UTC')::date + 1)), 0::bigint, 'an audit of future days finds nothing');
select is((select count(*) from sealcast_economy.audit(last_day => (now() at time zone 'UTC')::date - 1)), 0::bigint, 'an audit of earlier days finds nothing');
select is((select count(*) from sealcast_economy.audit((now() at time zone 'UTC')::date, (now() at time zone 'UTC')::date)), 2::bigint, 'an audit of the day of the fault finds it');
update sealcast_economy.chatters set messages = messages - 1;
-- Days whose messages retention has dropped.
select pg_temp.apply('sealcast_economy.aggregates_on_events', 'chat', :guest, 1, at => now() - interval '40 days') \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.audit(), 'sound', 'the audit leaves out days whose messages are dropped');

-- Erased messages.
create function pg_temp.erase(what text) returns void language plpgsql as $$
begin execute 'delete from sealcast.messages where ' || what; end $$;
savepoint kept;
select pg_temp.erase(format('t = ''gift'' or sender_id = %L', :vip)) \g /dev/null
select is(pg_temp.audit(), 'sound', 'erased gifts and messages are no discrepancy');
update sealcast_economy.chatters set messages = messages + 5;
select is((select count(*) from sealcast_economy.audit() a where a.what = 'messages of a user'), 2::bigint, 'a count above the erased messages is a discrepancy');
rollback to kept;
select pg_temp.erase($$t = 'gift'$$) \g /dev/null
update sealcast_economy.xp_days set points = points + 1 where t = 'gift';
select is((select count(*) from sealcast_economy.audit() a where a.what = 'xp of a day'), 1::bigint, 'points that no rule gives for the messages are a discrepancy');
rollback to kept;
select pg_temp.erase($$t = 'gift'$$) \g /dev/null
update sealcast_economy.stream_minutes set messages = messages - 3;
select ok((select count(*) from sealcast_economy.audit() a where a.what = 'messages of a minute') > 0, 'a count below the kept messages is a discrepancy');
rollback to kept;
delete from sealcast.txn_keys;
select pg_temp.erase($$t = 'gift'$$) \g /dev/null
select isnt(pg_temp.audit(), 'sound', 'without the keys of the erased messages, a count of this day is a discrepancy');
update sealcast.event_handlers set effects_from = extract(epoch from now()) * 1000;
select is(pg_temp.audit(), 'sound', 'after the keys of the day were trimmed, a count may be of an erased message');
update sealcast_economy.chatters set messages = 1;
select isnt(pg_temp.audit(), 'sound', 'a count that is too low is a discrepancy even then');
rollback to kept;

-- The roles that may execute each function: a(dmin), s(ervice), u(ser). No role may execute a function that is not
-- listed.
create temp table granted (function text, roles text);
insert into granted values
  ('level_of', 'au'), ('xp_for_level', 'au'), ('top_chatters', 'au'), ('messages_per_minute', 'au'),
  ('deposit', 'a'), ('withdraw', 'a'), ('release_expired_holds', 'a'), ('trim_aggregates', 'a'), ('audit', 'a'),
  ('xp_on_events', 's'), ('gift_on_event', 's'), ('aggregates_on_events', 's');
select results_eq(
  $$select p.proname::text collate "default", concat(
      case when has_function_privilege('sealcast_admin', p.oid, 'execute') then 'a' end,
      case when has_function_privilege('sealcast_service', p.oid, 'execute') then 's' end,
      case when has_function_privilege('sealcast_user', p.oid, 'execute') then 'u' end)
    from pg_proc p where p.pronamespace = 'sealcast_economy'::regnamespace
      and (has_function_privilege('sealcast_admin', p.oid, 'execute') or has_function_privilege('sealcast_service', p.oid, 'execute')
           or has_function_privilege('sealcast_user', p.oid, 'execute')) order by 1$$,
  'select * from granted order by function', 'each function may be executed by its roles only');
create role tap_nobody;
select is(array(select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'sealcast_economy'::regnamespace
                and has_function_privilege('tap_nobody', p.oid, 'execute')), '{}'::text[], 'PUBLIC may execute no function');
select is(has_schema_privilege('sealcast_service', 'sealcast_economy', 'usage'), false, 'sealcast_service has no USAGE on the schema');
select is(array(select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'sealcast_economy'::regnamespace
                and (p.prosecdef or p.prosqlbody is null) and 'search_path=pg_catalog, pg_temp' <> all (coalesce(p.proconfig, '{}'))),
          '{}'::text[], 'each function that looks up names at run time has a pinned search_path');
select is(array(select c.relname::text from pg_class c where c.relnamespace = 'sealcast_economy'::regnamespace and c.relkind = 'r' and not c.relrowsecurity),
          '{}'::text[], 'row-level security is on for all tables');
select is(array(select c.relname::text from pg_class c where c.relnamespace = 'sealcast_economy'::regnamespace and c.relkind = 'r'
                and (has_table_privilege('sealcast_user', c.oid, 'insert, update, delete, truncate, trigger, references') or has_any_column_privilege('sealcast_user', c.oid, 'insert, update, references')
                     or has_any_column_privilege('sealcast_service', c.oid, 'select, insert, update, references'))), '{}'::text[], 'sealcast_user writes no table, and sealcast_service reads none');
select is(array(select c.relname::text from pg_class c where c.relnamespace = 'sealcast_economy'::regnamespace and c.relkind = 'r'
                and has_table_privilege('sealcast_admin', c.oid, 'insert, update, delete') order by 1), array['currencies', 'xp_rules'], 'sealcast_admin writes currencies and rules only');

-- Users see their own rows.
select is(result, expected, who || ' reads ' || relation)
from (values (:guest, 'accounts', '2'), (:guest, 'entries', '7'), (:guest, 'transfers', '5'), (:guest, 'xp', '1'), (:guest, 'xp_days', '2'), (:guest, 'holds', '0'),
             (:creator, 'accounts', '1'), (:creator, 'entries', '2'), (:creator, 'transfers', '2'), (:moderator, 'entries', '0'), (:moderator, 'xp', '0'), (:moderator, 'currencies', '1')) v (who, relation, expected),
     lateral pg_temp.try('sealcast_user', who, format('select count(*) from sealcast_economy.%s', relation));
select is(pg_temp.outcome('sealcast_user', :guest, statement), '42501', 'sealcast_user may not: ' || statement)
from unnest(array['select sealcast_economy.deposit(gen_random_uuid(), 1, ''USD'', ''r'')', 'select * from sealcast_economy.audit()', 'select from sealcast_economy.chatters',
                  'update sealcast_economy.accounts set balance = 5', 'select from sealcast_economy.unsettled_balances']) statement;

-- Redacted messages keep their effects. One of them is a gift that no handler has captured yet.
select pg_temp.admit(:room, 'gift', :guest, '{"amount":9}', 'f0000000-0000-4000-8000-000000000001') \g /dev/null
select sealcast.redact_messages(:room, :guest) \g /dev/null
select pg_temp.settle() \g /dev/null
select is((select array_agg(distinct what order by what) from sealcast_economy.audit()), '{gift,"messages of a minute","messages of a user"}', 'the audit finds that a redacted gift is not captured');
select sealcast_economy.xp_on_events(array[e]), sealcast_economy.aggregates_on_events(array[e]), sealcast_economy.gift_on_event(e)
from pg_temp.event('f0000000-0000-4000-8000-000000000001') e \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.audit(), 'sound', 'a redacted gift is captured from its hold, and the audit finds nothing');

-- After DROP EXTENSION, the type gift admits nothing, and other types are admitted.
drop extension sealcast_economy;
select hasnt_schema('sealcast_economy', 'DROP EXTENSION removes the schema');
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":5}'), '500 admit_hook_failed', 'a gift is refused when its hook was dropped');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'a chat message is admitted');
select * from finish();
rollback;
