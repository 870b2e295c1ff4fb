-- Tests server fields: the server fills these members of d at admission, and repeats are compared without them.
begin;
\ir scene.psql
select plan(12);
\set txn '''c0000000-0000-4000-8000-000000000001'''
create function pg_temp.sealed(sender_id uuid, d text, txn_id uuid default gen_random_uuid(), t text default 'chat') returns text language sql as $$
  select envelope::json ->> 'd' from sealcast.admit(array['a0000000-0000-4000-8000-000000000001'::uuid], array[t], array[sender_id], array[txn_id], array[d]) $$;

select is(pg_temp.sealed(:guest, '{"content":"hi","user_role":"owner"}'), '{"content":"hi"}', 'a user_role from a sender without a role is removed');
select is(pg_temp.sealed(:vip, '{"content":"hi","user_role":"owner"}'), '{"content":"hi","user_role":"vip"}', 'a user_role from a sender with a role is replaced');
select is(pg_temp.sealed(:moderator, '{"zebra":1,"content":"hi"}'), '{"content":"hi","user_role":"moderator","zebra":1}', 'a missing user_role is filled in');
select is(pg_temp.sealed(:guest, '{"a":{"user_role":"owner"}}'), '{"a":{"user_role":"owner"}}', 'a user_role below the top level is unchanged');
select is(pg_temp.sealed(:guest, '{"user_role":"owner"}'), '{}', 'removing the only member leaves an empty object');
select is((select d from sealcast.messages where sender_id = :vip), '{"content":"hi","user_role":"vip"}', 'the stored payload is the signed payload');

select is(pg_temp.sealed(:vip, '{"n":1}', :txn), '{"n":1,"user_role":"vip"}', 'the role at the time of sending is sealed');
update sealcast.stream_roles set role = 'moderator' where (stream_id, user_id) = (:room, :vip);
select is(pg_temp.sealed(:vip, '{"n":1}', :txn), '{"n":1,"user_role":"vip"}', 'a repeat after a change of role returns the original');
select is(pg_temp.admit(:room, 'chat', :vip, '{"n":1,"user_role":"vip"}', :txn), '409 txn_id_reused', 'a repeat with a user_role that the sender did not send before is refused');
select is((select sent_hash from sealcast.txn_keys where (sender_id, txn_id) = (:vip, :txn)), sha256('{"n":1}'), 'sent_hash is the hash of d as the sender sent it');

update sealcast.message_types set server_fields = '{}' where t = 'reaction';
select is(pg_temp.sealed(:guest, '{"user_role":"owner"}', t => 'reaction'), '{"user_role":"owner"}', 'a type without server fields keeps the user_role of the sender');
select throws_ok($$update sealcast.message_types set server_fields = '{user_role,user_role}' where t = 'reaction'$$, '23514', null, 'a duplicate server field is refused');
select * from finish();
rollback;
