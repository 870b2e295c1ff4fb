-- Admit hooks: asked once the key is claimed; what they refuse, or fail at, leaves no trace.
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

select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":5,"user_role":"owner"}', :txn), '200', 'admitted');
select is((select c from tap_hooks.calls c)::text, format('(%s,%s,gift,%s,"{""coins"":5}")', :room, :guest, :txn), 'asked with the canonical payload');
select is((select sum(spent) from tap_hooks.coins), 5::bigint, 'its effects stay');
select is((select count(*) from sealcast.outbox o join sealcast.messages m on m.message_id = o.first_id where m.t = 'gift'), 1::bigint, 'queued for relaying');
select is(sealcast.verify_detail(sealcast.envelope(m)::json), 'ok', 'sealed') from sealcast.messages m where t = 'gift';

select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":5,"user_role":"owner"}', :txn), '200 replayed', 'a repeat gets the original');
select is((select sum(spent) from tap_hooks.coins), 5::bigint, 'and is not asked again');
select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":6}', :txn), '409 txn_id_reused', 'other content is a conflict');

-- Refused.
create temp table refused as
select * from sealcast.admit(array[:room::uuid], '{gift}', array[:guest::uuid], array['c0000000-0000-4000-8000-000000000002'::uuid], '{"{\"coins\":50}"}');
select is((select (status, code, message, hint, replayed, envelope) from refused),
          (402, 'insufficient_funds'::text, 'not enough coins'::text, 'Buy some.'::text, false, null::text), 'the refusal is the verdict');
select is((select sum(spent) from tap_hooks.coins), 5::bigint, 'what the hook did is undone');
select is((select count(*) from sealcast.txn_keys where sender_id = :guest), 1::bigint, 'the key is free');
select is(pg_temp.admit(:room, 'gift', :guest, '{"coins":1}', 'c0000000-0000-4000-8000-000000000002'), '200', 'for another try');
select is(state || ' ' || detail || '|' || hint, 'PT402 insufficient_funds|Buy some.', 'the same from send_message()')
from pg_temp.try('sealcast_user', :guest, format('select sealcast.send_message(%L, ''gift'', ''{"coins":50}'', %L)', :room, gen_random_uuid()));

-- Failing, or answering nonsense: that item's verdict, and nobody else's.
select is((select array_agg(concat_ws(' ', status, code) order by item)
           from sealcast.admit(array_fill(:room::uuid, array[5]), '{chat,gift,gift,chat,answer}', array_fill(:guest::uuid, array[5]),
             array(select gen_random_uuid() from generate_series(1, 5)), array['{}', '{"coins":"many"}', '{"coins":2}', '{}', '{"status":200}'])),
          array['200', '500 admit_hook_failed', '200', '200', '500 admit_hook_failed'], 'a hook that raises fails its item alone');
select is((select sum(spent) from tap_hooks.coins), 8::bigint, 'with what it did');
select is((select count(*) from sealcast.txn_keys where sender_id = :guest), 5::bigint, 'and its claim');
select is(pg_temp.admit(:room, 'answer', :guest, '{"status":402}'), '500 admit_hook_failed', 'a refusal has a code');
select is(pg_temp.admit(:room, 'answer', :guest, '{"status":299,"code":"odd","message":"m"}'), '500 admit_hook_failed', 'and a status of 400 to 599');
select is(pg_temp.admit(:room, 'answer', :guest, '{"status":451,"code":"odd","message":"m"}'), '451 odd', 'then it is passed on');
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '200', 'all null admits');
-- A hook's 40001 is the transaction's business.
create function tap_hooks.serialization(uuid, uuid, text, uuid, json) returns sealcast.refusal language plpgsql as
  $$ begin raise exception using errcode = '40001', message = 'try again'; end $$;
insert into sealcast.message_types (t, admit_hook) values ('serial', 'tap_hooks.serialization(uuid,uuid,text,uuid,json)');
select throws_ok(format('select * from sealcast.admit(array[%L::uuid], ''{serial}'', array[%L::uuid], array[gen_random_uuid()], ''{"{}"}'')', :room, :guest), '40001');

-- Judged before it is asked.
delete from tap_hooks.calls;
insert into sealcast.restrictions (user_id, kind) values (:vip, 'mute');
select is(pg_temp.admit(:room, 'gift', :vip, '{"coins":1}'), '403 user_muted', 'a muted sender');
select is((select count(*) from tap_hooks.calls), 0::bigint, 'is not asked about');

-- Once its function has gone, nothing passes.
drop function tap_hooks.answer(uuid, uuid, text, uuid, json);
select is(pg_temp.admit(:room, 'answer', :guest, '{"x":1}'), '500 admit_hook_failed', 'a hook that is not there admits nothing');

-- Only a superuser names a hook: it runs as the extension's owner.
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set admit_hook = null where t = 'gift'$$), '42501',
          'sealcast_admin may not change a hook');
select is(pg_temp.outcome('sealcast_admin', null, $$insert into sealcast.message_types (t, admit_hook) values ('mine', 'tap_hooks.spend(uuid,uuid,text,uuid,json)')$$),
          '42501', 'nor name one');
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set rate = 9 where t = 'gift' returning t$$), 'ok', 'but keep the rest of the type');
select * from finish();
rollback;
