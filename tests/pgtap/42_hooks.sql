-- Tests admit hooks: they are called after the key is claimed, and a refusal or failure leaves nothing behind.
begin;
\ir scene.psql
select plan(55);
\set txn '''c0000000-0000-4000-8000-000000000001'''

create schema tap_hooks;
create table tap_hooks.coins (user_id uuid, spent int);
create table tap_hooks.calls (stream_id uuid, sender_id uuid, t text, txn_id uuid, d text);
create function tap_hooks.spend(stream_id uuid, sender_id uuid, t text, txn_id uuid, d json) returns sealcast.refusal language plpgsql as $$
begin
  insert into tap_hooks.calls values (stream_id, sender_id, t, txn_id, d::text);
  insert into tap_hooks.coins values (sender_id, (d ->> 'coins')::int);
  if (d ->> 'coins')::int > 10 then
    return (402, 'insufficient_funds', 'not enough coins', 'Buy some.')::sealcast.refusal;
  end if;
  return null;
end $$;
create function tap_hooks.answer(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as
  $$ select json_populate_record(null::sealcast.refusal, $5) $$;
insert into sealcast.message_types (t, admit_hook) values
  ('gift', 'tap_hooks.spend(uuid,uuid,text,uuid,json)'), ('answer', 'tap_hooks.answer(uuid,uuid,text,uuid,json)');

select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":5,"user_role":"owner"}', :txn), '200', 'a message that the hook accepts is admitted');
select is((select c from tap_hooks.calls c)::text, format('(%s,%s,gift,%s,"{""coins"":5}")', :room, :guest, :txn), 'the hook gets the canonical payload without server fields');
select is((select sum(spent) from tap_hooks.coins), 5::bigint, 'the changes of the hook are kept');
select is((select count(*) from sealcast_internal.outbox o join sealcast.messages m on m.message_id = o.first_id where m.t = 'gift'), 1::bigint, 'a message that the hook accepts is in the outbox');
select is(sealcast.verify_detail(sealcast.envelope(m)::json), 'ok', 'a message that the hook accepts is sealed') from sealcast.messages m where t = 'gift';

select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":5,"user_role":"owner"}', :txn), '200 replayed', 'a repeat returns the original');
select is((select sum(spent) from tap_hooks.coins), 5::bigint, 'a repeat does not call the hook');
select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":6}', :txn), '409 txn_id_reused', 'other content under a used txn_id is refused');

-- A refusal by the hook.
create temp table refused as
select * from sealcast.admit(array[:room::uuid], '{gift}', array[:guest::uuid], array['c0000000-0000-4000-8000-000000000002'::uuid], '{"{\"coins\":50}"}');
select is((select (status, code, message, hint, replayed, envelope) from refused),
          (402, 'insufficient_funds'::text, 'not enough coins'::text, 'Buy some.'::text, false, null::text), 'the refusal of the hook is the verdict');
select is((select sum(spent) from tap_hooks.coins), 5::bigint, 'a refusal rolls back the changes of the hook');
select is((select count(*) from sealcast.txn_keys where sender_id = :guest), 1::bigint, 'a refusal leaves the key free');
select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":1}', 'c0000000-0000-4000-8000-000000000002'), '200', 'after a refusal, the same txn_id can be used again');
select is(state || ' ' || detail || '|' || hint, 'PT402 insufficient_funds|Buy some.', 'send_message() raises the refusal of the hook')
from pg_temp.try('sealcast_user', :guest, format('select sealcast.send_message(%L, ''gift'', ''{"coins":50}'', %L)', :room, gen_random_uuid()));

-- A hook that raises, or returns an invalid refusal, fails its own item only.
select is((select array_agg(concat_ws(' ', status, code) order by item)
           from sealcast.admit(array_fill(:room::uuid, array[5]), '{chat,gift,gift,chat,answer}', array_fill(:guest::uuid, array[5]),
             array(select gen_random_uuid() from generate_series(1, 5)), array['{}', '{"coins":"many"}', '{"coins":2}', '{}', '{"status":200}'])),
          array['200', '500 admit_hook_failed', '200', '200', '500 admit_hook_failed'], 'a hook that fails makes only its own item fail');
select is((select sum(spent) from tap_hooks.coins), 8::bigint, 'a failure rolls back the changes of the hook');
select is((select count(*) from sealcast.txn_keys where sender_id = :guest), 5::bigint, 'a failure leaves the key free');
select is(pg_temp.admit(:room, 'answer', :guest, '{"status":402}'), '500 admit_hook_failed', 'a refusal without a code is invalid');
select is(pg_temp.admit(:room, 'answer', :guest, '{"status":299,"code":"odd","message":"m"}'), '500 admit_hook_failed', 'a refusal with a status below 400 is invalid');
select is(pg_temp.admit(:room, 'answer', :guest, '{"status":451,"code":"odd","message":"m"}'), '451 odd', 'a refusal with a status of 400 to 599 and a code is valid');
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '200', 'a refusal whose members are all null admits');
-- A serialization failure concerns the whole transaction.
create function tap_hooks.serialization(uuid, uuid, text, uuid, json) returns sealcast.refusal language plpgsql as
  $$ begin raise exception using errcode = '40001', message = 'try again'; end $$;
insert into sealcast.message_types (t, admit_hook) values ('serial', 'tap_hooks.serialization(uuid,uuid,text,uuid,json)');
select throws_ok(format('select * from sealcast.admit(array[%L::uuid], ''{serial}'', array[%L::uuid], array[gen_random_uuid()], ''{"{}"}'')', :room, :guest), '40001', null, 'a serialization failure of a hook is raised again');

-- The other checks come before the hook.
delete from tap_hooks.calls;
insert into sealcast.restrictions (user_id, kind) values (:vip, 'mute');
select is(pg_temp.admit(:room, 'gift', :vip, '{"coins":1}'), '403 user_muted', 'a muted sender is refused');
select is((select count(*) from tap_hooks.calls), 0::bigint, 'the hook is not called for a muted sender');

-- The name of the hook is text, and is resolved when the hook is asked.
select is((select array_agg(admit_hook order by t) from sealcast.message_types where t in ('answer', 'gift')),
          array['tap_hooks.answer(uuid,uuid,text,uuid,json)', 'tap_hooks.spend(uuid,uuid,text,uuid,json)'], 'the full name of the hook is stored');
set local search_path = tap_hooks, public;
update sealcast.message_types set admit_hook = 'answer'::regproc where t = 'answer';
reset search_path;
select is((select admit_hook from sealcast.message_types where t = 'answer'), 'tap_hooks.answer(uuid,uuid,text,uuid,json)', 'a name from the search_path of a session gets its schema');
drop function tap_hooks.answer(uuid, uuid, text, uuid, json);
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '500 admit_hook_failed', 'a hook whose function was dropped admits nothing');
create function tap_hooks.answer(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as
  $$ select (451, 'odd', 'made again', null)::sealcast.refusal $$;
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '451 odd', 'a function that was dropped and created again is the hook');
drop function tap_hooks.answer(uuid, uuid, text, uuid, json);
create function tap_hooks.answer(uuid, uuid, text, uuid, json) returns text language sql as $$ select 'no refusal' $$;
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '500 admit_hook_failed', 'a function with another result is no hook');
update sealcast.message_types set admit_hook = 'tap_hooks.of_tomorrow' where t = 'answer';
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '500 admit_hook_failed', 'a hook that does not exist yet may be set, and admits nothing');

-- A type with a hook is not lost.
select is(pg_temp.outcome('sealcast_admin', null, $$delete from sealcast.message_types where t = 'gift'$$), '42501', 'sealcast_admin may not delete a type that has a hook');
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set t = 'present' where t = 'gift'$$), '42501', 'sealcast_admin may not rename a type that has a hook');
select is(pg_temp.outcome('sealcast_admin', null, $$delete from sealcast.message_types where t = 'reaction' returning t$$), 'ok', 'sealcast_admin may delete a type without a hook');

-- A constraint of the operator is the verdict of the message that violates it.
alter table sealcast.messages add constraint tap_polite check (d not like '%damn%');
select is((select array_agg(concat_ws(' ', status, code, details) order by item)
           from sealcast.admit(array_fill(:room::uuid, array[3]), '{chat,chat,chat}', array_fill(:guest::uuid, array[3]),
             array(select gen_random_uuid() from generate_series(1, 3)), array['{}', '{"content":"damn"}', '{}'])),
          array['200', '422 constraint_violated messages.tap_polite', '200'], 'a CHECK of the operator refuses its own message only, by name');
create unique index tap_once on sealcast.txn_keys (sent_hash) where sender_id = :owner;
select is((select array_agg(concat_ws(' ', status, code, details) order by item)
           from sealcast.admit(array_fill(:room::uuid, array[2]), '{chat,chat}', array_fill(:owner::uuid, array[2]),
             array(select gen_random_uuid() from generate_series(1, 2)), array['{"n":1}', '{"n":1}'])),
          array['200', '422 constraint_violated txn_keys.tap_once'], 'a unique index of the operator refuses its own message only, by name');
drop index sealcast.tap_once;
alter table sealcast.messages drop constraint tap_polite;

-- Columns of the operator get their values as with INSERT. A trigger or foreign key that would not fire is named.
alter event trigger sealcast_refuse_column_changes disable; -- as a database that had the columns before
alter table sealcast.messages add column tap_at timestamptz default now(), add column tap_bytes integer generated always as (octet_length(d)) stored;
select is(pg_temp.admit(:room, 'chat', :guest, '{"n":1}'), '200', 'a table with columns of the operator takes messages');
select is((select (tap_at = now(), tap_bytes) from sealcast.messages order by message_id desc limit 1), (true, 7), 'DEFAULT and GENERATED columns have their values');
create table tap_hooks.seen (sender_id uuid, txn_id uuid, foreign key (sender_id, txn_id) references sealcast.txn_keys);
select is(pg_temp.admit(:room, 'chat', :guest, '{"n":2}'), '200', 'a foreign key to txn_keys stops nothing');
alter table sealcast.messages add constraint tap_in_stream foreign key (stream_id) references sealcast.streams;
select throws_like(format('select * from sealcast.admit(array[%L::uuid], ''{chat}'', array[%L::uuid], array[gen_random_uuid()], ''{"{}"}'')', :room, :guest),
                   'table messages% has the constraint tap_in_stream, which admission does not fire', 'a foreign key that admission would not check is refused by name');
alter table sealcast.messages drop constraint tap_in_stream;

-- Only a role that can act as the owner of the function may set a hook, because it runs with the rights of its owner.
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set admit_hook = null where t = 'gift'$$), '42501',
          'sealcast_admin may not change a hook');
select is(pg_temp.outcome('sealcast_admin', null, $$insert into sealcast.message_types (t, admit_hook) values ('mine', 'tap_hooks.spend(uuid,uuid,text,uuid,json)')$$),
          '42501', 'sealcast_admin may not set a hook');
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set rate = 9 where t = 'gift' returning t$$), 'ok', 'sealcast_admin may change the other columns of the type');

create role tap_coder;
grant usage on schema sealcast to tap_coder;
create role tap_stranger in role sealcast_admin;
create role tap_colleague in role sealcast_admin, tap_coder;
alter schema tap_hooks owner to tap_coder;
set local role tap_coder;
create table tap_hooks.notes (who name, path text);
create function tap_hooks.late() returns trigger language plpgsql as $$ begin return null; end $$;
create constraint trigger late after insert on tap_hooks.notes deferrable initially deferred for each row execute function tap_hooks.late();
create function tap_hooks.note(uuid, uuid, text, uuid, json) returns sealcast.refusal language plpgsql as $$
begin
  insert into tap_hooks.notes values (current_user, current_setting('search_path'));
  perform set_config('search_path', 'public', false);
  return null;
end $$;
create function tap_hooks.reach(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as $$
  delete from sealcast.txn_keys; select null::sealcast.refusal $$;
reset role;
\set setNote '$$insert into sealcast.message_types (t, admit_hook) values (''noted'', ''tap_hooks.note(uuid,uuid,text,uuid,json)'') returning t$$'
select is(pg_temp.outcome('tap_stranger', null, :setNote), '42501', 'an administrator may not set the hook of another role');
select is(pg_temp.outcome('tap_stranger', null, $$insert into sealcast.message_types (t, admit_hook) values ('noted', 'tap_hooks.missing') returning t$$), '42501', 'an administrator may not set a hook that does not exist');
select is(pg_temp.outcome('tap_colleague', null, :setNote), 'ok', 'an administrator who can act as the owner may set the hook');
select is(pg_temp.outcome('tap_stranger', null, $$update sealcast.message_types set admit_hook = null where t = 'noted' returning t$$), '42501', 'another administrator may not remove it');
select is(pg_temp.outcome('tap_stranger', null, $$update sealcast.message_types set t = 'unnoted' where t = 'noted' returning t$$), '42501', 'another administrator may not rename its type');
select is(pg_temp.admit(:room, 'noted', :guest, '{}'), '500 admit_hook_failed', 'a hook of another owner cannot defer a check to the commit, which has other rights');
drop trigger late on tap_hooks.notes;
select is(pg_temp.admit(:room, 'noted', :guest, '{}'), '200', 'the hook admits');
select is((select (who, path) from tap_hooks.notes), ('tap_coder'::name, 'pg_catalog, pg_temp'::text), 'it runs with the rights of its owner and a safe search_path');
select isnt(current_setting('search_path'), 'public', 'a setting that it changes goes back');
update sealcast.message_types set admit_hook = 'tap_hooks.reach(uuid,uuid,text,uuid,json)' where t = 'noted';
select is(pg_temp.admit(:room, 'noted', :guest, '{}'), '500 admit_hook_failed', 'it has no rights that its owner has not');
select is(pg_temp.outcome('tap_colleague', null, $$delete from sealcast.message_types where t = 'noted' returning t$$), 'ok', 'an administrator who can act as the owner may delete the type');

-- A missing partition of sealcast.messages is no fault of a hook; a missing partition of its own table is.
create table tap_hooks.parts (n int) partition by range (n);
create function tap_hooks.parted(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as
  $$ insert into tap_hooks.parts values (1); select null::sealcast.refusal $$;
insert into sealcast.message_types (t, admit_hook) values ('parted', 'tap_hooks.parted(uuid,uuid,text,uuid,json)');
select is(pg_temp.admit(:room, 'parted', :guest, '{}'), '500 admit_hook_failed', 'a hook whose own table has no partition has failed');
do $$ declare p regclass; begin for p in select partition from sealcast_internal.partitions('sealcast.messages') where day >= current_date loop
  execute 'alter table sealcast.messages detach partition ' || p; end loop; end $$;
delete from tap_hooks.coins;
select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":5}'), '503 no_partition', 'without a partition, a message with a hook gets 503');
select is((select count(*) from tap_hooks.coins), 0::bigint, 'without a partition, the changes of the hook are rolled back');
select * from finish();
rollback;
