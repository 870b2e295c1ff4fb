-- Tests admit hooks: they are called after the key is claimed, and a refusal or failure leaves nothing behind.
begin;
\ir scene.psql
select plan(27);
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
select is((select count(*) from sealcast.outbox o join sealcast.messages m on m.message_id = o.first_id where m.t = 'gift'), 1::bigint, 'the message is in the outbox');
select is(sealcast.verify_detail(sealcast.envelope(m)::json), 'ok', 'the message is sealed') from sealcast.messages m where t = 'gift';

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

-- The function of the hook was dropped.
drop function tap_hooks.answer(uuid, uuid, text, uuid, json);
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '500 admit_hook_failed', 'a hook whose function was dropped admits nothing');

-- Only a superuser may set a hook, because it runs as the extension's owner.
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set admit_hook = null where t = 'gift'$$), '42501',
          'sealcast_admin may not change a hook');
select is(pg_temp.outcome('sealcast_admin', null, $$insert into sealcast.message_types (t, admit_hook) values ('mine', 'tap_hooks.spend(uuid,uuid,text,uuid,json)')$$),
          '42501', 'sealcast_admin may not set a hook');
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set rate = 9 where t = 'gift' returning t$$), 'ok', 'sealcast_admin may change the other columns of the type');
select * from finish();
rollback;
