-- Tests that the message of a refusal has no text of the caller and no control character: PostgREST makes it the reason
-- phrase of the HTTP status line.
begin;
\ir economy.psql
select plan(16);

\set split 'E''x\\r\\nSet-Cookie: stolen=1\\u0085\\x7F'''
create function public.tap_refuse(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as
  $$ select row(402, 'no_credit', E'no\r\ncredit\u0085 é', 'Pay.')::sealcast.refusal $$;
insert into sealcast.message_types (t, admit_hook) values ('paid', 'public.tap_refuse(uuid,uuid,text,uuid,json)'::regprocedure);
select sealcast_economy.deposit(:guest, 1, 'USD', :split) \g /dev/null

create temp table calls (as_role text, sub text, statement text);
insert into calls values
  ('sealcast_user', :owner, format('select sealcast.send_message(%L, %L, ''{}'', gen_random_uuid())', :room, :split)),
  ('sealcast_user', :owner, format('select sealcast.send_message(%L, ''chat'', %L, gen_random_uuid())', :room, format('{%s:"a\u0000"}', to_json(:split::text)))),
  ('sealcast_user', :owner, format('select sealcast.send_message(%L, ''gift'', %L, gen_random_uuid())', :room, json_build_object(:split, 1))),
  ('sealcast_user', :owner, format('select sealcast.send_message(%L, ''gift'', %L, gen_random_uuid())', :room, json_build_object('amount', 1, 'currency', :split))),
  ('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, %L)', :room, :guest, :split)),
  ('sealcast_user', :owner, format('select sealcast.report_message(%L, 1, null, %L)', :room, :split)),
  ('sealcast_user', :owner, format('select sealcast.resolve_report(%L, 1, %L)', :room, :split)),
  ('sealcast_user', :owner, format('select sealcast.migrate_transport(%L, %L)', :room, :split)),
  ('sealcast_user', :owner, format('select sealcast.set_delivery_mode(%L, %L)', :room, :split)),
  ('sealcast_user', :owner, format('select sealcast.history(%L, channel => %L)', :room, :split)),
  ('sealcast_service', null, format('select sealcast_internal.call_as(%L, ''mute'', %L)', :owner, json_build_object(:split, 1))),
  ('sealcast_admin', null, format('select sealcast_economy.deposit(%L, 1, %L, ''r'')', :guest, :split)),
  ('sealcast_admin', null, format('select sealcast_economy.deposit(%L, 2, ''USD'', %L)', :guest, :split));
select ok(t.state like 'PT4__' and t.message !~ '[\x01-\x1f\x7f\u0080-\u009f]' and t.message !~ 'Set-Cookie',
          format('no text of the caller is in the message of %s', split_part(c.statement, '(', 1)))
from calls c cross join lateral pg_temp.try(c.as_role, c.sub, c.statement) t;

select matches(t.detail, 'Set-Cookie', 'the details of JSON that cannot be signed name the member')
from calls c cross join lateral pg_temp.try(c.as_role, c.sub, c.statement) t where c.statement like '%u0000%';

select is((pg_temp.try('sealcast_user', :owner, format('select sealcast.send_message(%L, ''paid'', ''{}'', gen_random_uuid())', :room))).message,
          'no??credit?? é', 'control characters in the message of an admit hook are replaced');
select is((pg_temp.try('sealcast_user', :owner, format('select sealcast.send_message(%L, ''no.such-type'', ''{}'', gen_random_uuid())', :room))).message,
          'message type no.such-type does not exist', 'the name of an unknown type is in the message');
select * from finish();
rollback;
