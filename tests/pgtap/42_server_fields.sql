-- Members of d that only the server states: filled at admission, and left out of what makes two messages the same.
begin;
\ir scene.psql
select plan(12);
\set txn '''c0000000-0000-4000-8000-000000000001'''
create function pg_temp.sealed(sender_id uuid, d text, txn_id uuid default gen_random_uuid(), t text default 'chat') returns text language sql as $$
  select envelope::json ->> 'd' from sealcast.admit(array['a0000000-0000-4000-8000-000000000001'::uuid], array[t], array[sender_id], array[txn_id], array[d]) $$;

select is(pg_temp.sealed(:guest, '{"content":"hi","user_role":"owner"}'), '{"content":"hi"}', 'a claimed role is removed from who has none');
select is(pg_temp.sealed(:vip, '{"content":"hi","user_role":"owner"}'), '{"content":"hi","user_role":"vip"}', 'and replaced for who has one');
select is(pg_temp.sealed(:moderator, '{"zebra":1,"content":"hi"}'), '{"content":"hi","user_role":"moderator","zebra":1}', 'and stated where nobody claimed it');
select is(pg_temp.sealed(:guest, '{"a":{"user_role":"owner"}}'), '{"a":{"user_role":"owner"}}', 'at the top level alone');
select is(pg_temp.sealed(:guest, '{"user_role":"owner"}'), '{}', 'also when nothing else is left');
select is((select d from sealcast.messages where sender_id = :vip), '{"content":"hi","user_role":"vip"}', 'what is stored is what is signed');

select is(pg_temp.sealed(:vip, '{"n":1}', :txn), '{"n":1,"user_role":"vip"}', 'sent as vip');
update sealcast.stream_roles set role = 'moderator' where (stream_id, user_id) = (:room, :vip);
select is(pg_temp.sealed(:vip, '{"n":1}', :txn), '{"n":1,"user_role":"vip"}', 'repeated as moderator: the original');
select is(pg_temp.admit(:room, 'chat', :vip, '{"n":1,"user_role":"vip"}', :txn), '409 txn_id_reused', 'compared as it was sent');
select is((select sent_hash from sealcast.txn_keys where (sender_id, txn_id) = (:vip, :txn)), sha256('{"n":1}'), 'by the hash of d as sent');

update sealcast.message_types set server_fields = '{}' where t = 'reaction';
select is(pg_temp.sealed(:guest, '{"user_role":"owner"}', t => 'reaction'), '{"user_role":"owner"}', 'a type without server fields is the sender''s own');
select throws_ok($$update sealcast.message_types set server_fields = '{user_role,user_role}' where t = 'reaction'$$, '23514');
select * from finish();
rollback;
