-- Tests refusals in requests of PostgREST: from SQLSTATE PGRST it makes the response of the HTTP API.
begin;
\ir economy.psql
select plan(73);

\set split 'E''x\\r\\nSet-Cookie: stolen=1\\u0085\\x7F'''
insert into sealcast.streams (stream_id) values (:nowhere);
insert into sealcast.cells values ('a', 'https://a.example'), ('b', 'https://b.example');
insert into sealcast.cell_pins select stream_id, case stream_id when :nowhere then 'b' else 'a' end from sealcast.streams
  union all select 'a0000000-0000-4000-8000-0000000000ff', 'a';
set local sealcast.cell = 'a';
insert into sealcast.message_types (t, max_bytes) values ('small', 2);
select sealcast.mute(:room, :vip, now() + interval '90 seconds') \g /dev/null
select sealcast.ban(:cave, :guest) \g /dev/null
select gen_random_uuid() as ours \gset
select pg_temp.admit(:room, 'transport_warmup', :system, '{}', :'ours') \g /dev/null
select sealcast.set_payee(:room, :owner) \g /dev/null
select sealcast_economy.deposit(:guest, 1, 'USD', 'used') \g /dev/null
create function public.tap_refuse(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as
  $$ select row(451, 'not_here', E'not\r\nSet-Cookie: stolen=1\u0085 é', E'Ask "us"\\\n.')::sealcast.refusal $$;
insert into sealcast.message_types (t, admit_hook) values ('hooked', 'public.tap_refuse(uuid,uuid,text,uuid,json)'::regprocedure);

-- Runs the statement as pg_temp.try() does, in a request of PostgREST or not. Sets the settings of PostgREST/postgrest,
-- src/PostgREST/Query.hs (setPgLocals). Returns also which functions raised the error.
create function pg_temp.call(as_role text, sub text, statement text, method text,
                             out state text, out message text, out detail text, out hint text, out raised_by text)
  language plpgsql as $$
begin
  perform set_config('request.method', method, true), set_config('request.path', case method when '' then '' else '/rpc/f' end, true);
  begin
    perform set_config('request.jwt.claims', case when sub is null then '' when sub like '{%' then sub else json_build_object('sub', sub)::text end, true),
            set_config('role', as_role, true);
    execute statement;
    perform set_config('role', 'none', true);
  exception when others then
    get stacked diagnostics state = returned_sqlstate, message = message_text, detail = pg_exception_detail,
                            hint = pg_exception_hint, raised_by = pg_exception_context;
  end;
  perform set_config('request.method', '', true), set_config('request.path', '', true);
end $$;

-- Returns what PostgREST cannot make a response of, or null: parseRaisePGRST, FromJSON of PgRaiseErrMessage and of
-- PgRaiseErrDetails, and the headers that errorResponseFor writes unchanged (src/PostgREST/Error.hs, 12.0.0 to 16.2).
create function pg_temp.fault(message text, detail text) returns text language plpgsql as $$
declare
  body jsonb := message::jsonb;
  response jsonb := detail::jsonb;
  control constant text := '[\x01-\x1f\x7f\u0080-\u009f]';
begin
  return case
    when jsonb_typeof(body) <> 'object' or jsonb_typeof(response) <> 'object' then 'a part is no object'
    when jsonb_typeof(body -> 'code') is distinct from 'string' or jsonb_typeof(body -> 'message') is distinct from 'string'
      then 'code or message is no string'
    when coalesce(jsonb_typeof(body -> 'details'), 'null') not in ('string', 'null')
      or coalesce(jsonb_typeof(body -> 'hint'), 'null') not in ('string', 'null') then 'details or hint is no string'
    when jsonb_typeof(response -> 'status') is distinct from 'number' or (response ->> 'status') !~ '^[45]\d\d$' then 'status is no status'
    when response ? 'status_text' and response ->> 'status_text' ~ control then 'status_text has a control character'
    when jsonb_typeof(response -> 'headers') is distinct from 'object' then 'headers is no object'
    when body ->> 'code' ~ control then 'the code, which is in Proxy-Status, has a control character'
    when exists (select from jsonb_each(response -> 'headers') h where jsonb_typeof(h.value) <> 'string') then 'a header is no string'
    when exists (select from jsonb_each_text(response -> 'headers') h where h.key !~ '^[A-Za-z-]+$' or h.value ~ control or h.value !~ '^[ -~]+$')
      then 'a header cannot be sent'
  end;
end $$;

select pg_temp.admit(:room, 'chat', :moderator, '{}') \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) select stream_id, 1, 1, ts, ts, message_id from sealcast.messages where stream_id = :room limit 1;
insert into sealcast.reports (stream_id, "offset", reporter_id) select :room, n + 1, :owner from generate_series(1, 20) n;

create temp table calls (n serial, as_role text, sub text, statement text, expected text);
insert into calls (as_role, sub, statement, expected) values
  ('sealcast_user', null, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :room), '401 unauthenticated'),
  ('sealcast_user', '{"sub":"b0000000-0000-4000-8000-000000000004","exp":1}', format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :room), '401 token_expired'),
  ('sealcast_user', :guest, 'select sealcast.send_message(null, ''chat'', ''{}'', gen_random_uuid())', '400 invalid_request'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', %L, gen_random_uuid())', :room, format('{%s:"a\u0000"}', to_json(:split::text))), '400 invalid_json'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, %L, ''{}'', gen_random_uuid())', :room, :split), '422 unknown_type'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :nowhere), '421 wrong_cell'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''small'', ''{"a":1}'', gen_random_uuid())', :room), '413 payload_too_large'),
  ('sealcast_user', :vip, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :room), '403 user_muted'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :cave), '403 user_banned'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :attic), '403 stream_closed'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''gift'', ''{"amount":2}'', gen_random_uuid())', :room), '402 insufficient_funds'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''gift'', %L, gen_random_uuid())', :room, json_build_object('amount', 1, 'currency', :split)), '400 invalid_request'),
  ('sealcast_user', :guest, format('select sealcast.send_message(%L, ''hooked'', ''{}'', gen_random_uuid())', :room), '451 not_here'),
  ('none', :guest, format('select set_config(''sealcast.gate'', ''on'', true), sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :room), '503 gate_unavailable'),
  ('sealcast_user', :moderator, format('select sealcast.mute(%L, null)', :room), '400 invalid_request'),
  ('sealcast_user', :moderator, format('select sealcast.mute(%L, %L, ''2000-01-01'')', :room, :guest), '400 invalid_request'),
  ('sealcast_user', :moderator, format('select sealcast.mute(%L, %L, null, %L)', :room, :guest, repeat('x', 5000)), '400 invalid_request'),
  ('sealcast_user', :guest, format('select sealcast.mute(%L, %L)', :room, :vip), '403 role_required'),
  ('sealcast_user', :moderator, format('select sealcast.mute(%L, %L, purge => ''0'')', :room, :guest), '400 invalid_request'),
  ('sealcast_user', :moderator, format('select sealcast.unmute(%L, %L)', :room, :vip), '403 role_required'),
  ('sealcast_user', :moderator, format('select sealcast.redact_message(%L, 1, %L)', :room, repeat('x', 501)), '400 invalid_request'),
  ('sealcast_user', :moderator, format('select sealcast.redact_message(%L, 9007199254740991)', :room), '404 message_not_found'),
  ('sealcast_user', :moderator, format('select sealcast.redact_message(%L, txn_id => %L, sender_id => %L)', :room, :'ours', :system), '403 role_required'),
  ('sealcast_user', :moderator, format('select sealcast.redact_messages(null, %L)', :guest), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, %L)', :room, :guest, :split), '400 invalid_request'),
  ('sealcast_user', :guest, format('select sealcast.set_payee(%L, %L)', :room, :guest), '403 role_required'),
  ('sealcast_user', :owner, 'select sealcast.pin_message(null, 1)', '400 invalid_request'),
  ('sealcast_user', :owner, 'select sealcast.unpin_message(null)', '400 invalid_request'),
  ('sealcast_user', :owner, 'select sealcast.set_stream_rules(null, ''{}'')', '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_stream_rules(%L, ''{"slow_mode_s":0}'')', :room), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_stream_rules(%L, %L)', :room, json_build_object(:split, 1)), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_stream_rules(%L, %L)', :room, json_build_object('rate', json_build_object(:split, 1))), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_payee(null, %L)', :owner), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.add_blocked_term(%L, ''x'', %L)', :room, :split), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.add_blocked_term(%L, %L, ''pattern'')', :room, '(' || :split), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.term_hits_of(%L, null, 0)', :room), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_role(%L, %L, ''vip'')', :nowhere, :guest), '421 wrong_cell'),
  ('sealcast_user', :owner, format('select sealcast.migrate_transport(%L, %L)', :room, :split), '400 invalid_request'),
  ('sealcast_admin', null, format('select sealcast.migrate_transport(%L, ''sse'')', :attic), '403 stream_closed'),
  ('sealcast_admin', null, format('select sealcast.set_stream_rules(%L, ''{"slow_mode_s":5}'')', :attic), '403 stream_closed'),
  ('sealcast_admin', null, format('select sealcast.erase_user_step(%L, 0)', :guest), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_delivery_mode(%L, %L)', :room, :split), '400 invalid_request'),
  ('sealcast_user', :owner, format('select sealcast.set_sampling(%L, -1)', :room), '400 invalid_request'),
  ('sealcast_user', :guest, format('select sealcast.history(%L, channel => %L)', :room, :split), '400 invalid_request'),
  ('sealcast_user', :guest, format('select sealcast.history(%L)', :cave), '403 user_banned'),
  ('sealcast_user', :moderator, format('select sealcast.history(%L)', :cave), '403 role_required'),
  ('sealcast_user', :guest, 'select sealcast.history(''a0000000-0000-4000-8000-0000000000ff'')', '404 stream_not_found'),
  ('sealcast_user', :guest, format('select sealcast.history(%L, "limit" => 0)', :room), '400 invalid_request'),
  ('sealcast_user', :moderator, format('select sealcast.report_message(%L, 99)', :room), '404 message_not_found'),
  ('sealcast_user', :owner, format('select sealcast.report_message(%L, 1)', :room), '429 rate_limited'),
  ('sealcast_user', :owner, format('select sealcast.resolve_report(%L, 99, ''acted'')', :room), '404 message_not_found'),
  ('sealcast_user', :owner, format('select sealcast.approve_message(%L)', :room), '404 message_not_found'),
  ('sealcast_user', :owner, format('select sealcast.approve_message(%L)', :vip), '409 not_admissible'),
  ('sealcast_user', :owner, format('select sealcast.approve_message(%L)', :guest), '409 already_decided'),
  ('sealcast_service', null, format('select sealcast_internal.call_as(%L, ''mute'', %L)', :owner, json_build_object(:split, 1)), '400 invalid_request'),
  ('sealcast_service', null, format('select sealcast_internal.call_as(%L, ''maintain'', ''{}'')', :owner), '404 not_found'),
  ('sealcast_user', :guest, 'select sealcast_economy.top_chatters(''a0000000-0000-4000-8000-0000000000ff'')', '404 stream_not_found'),
  ('sealcast_user', :guest, format('select sealcast_economy.top_chatters(%L, max_rows => 0)', :room), '400 invalid_request'),
  ('sealcast_user', :guest, format('select sealcast_economy.messages_per_minute(%L, ''2000-01-01'', ''2001-01-01'')', :room), '400 invalid_request'),
  ('sealcast_admin', null, format('select sealcast_economy.deposit(%L, 1, %L, ''r'')', :guest, :split), '400 invalid_request'),
  ('sealcast_admin', null, format('select sealcast_economy.deposit(%L, 2, ''USD'', ''used'')', :guest), '409 reference_reused'),
  ('sealcast_admin', null, format('select sealcast_economy.withdraw(%L, 2, ''USD'', ''r'', ''wallet'')', :guest), '402 insufficient_funds'),
  ('none', null, format('select sealcast_internal.refuse(418, %L, %L, %L, %L, 1)', E'x\r\ny\u0085\x7F', :split, :split, :split), '418 x??y???');

insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at, outcome)
values (:vip, :room, :vip, gen_random_uuid(), 'chat', '{}', '', 'rule', now(), now() + interval '1 hour', null),
       (:guest, :room, :guest, gen_random_uuid(), 'chat', null, '', 'rule', now(), now() + interval '1 hour', 'denied');

create temp table answers as
select c.*, plain.state, plain.message, plain.detail, plain.hint, plain.raised_by,
       web.state as web_state, web.message as web_message, web.detail as web_detail,
       case when web.state = 'PGRST' then pg_temp.fault(web.message, web.detail) else 'no PGRST' end as fault
from calls c cross join lateral pg_temp.call(c.as_role, c.sub, c.statement, '') plain
             cross join lateral pg_temp.call(c.as_role, c.sub, c.statement, 'POST') web;

-- The milliseconds to wait differ between two calls.
create function pg_temp.same(hint text) returns text language sql as $$ select regexp_replace(hint, '^\d+ ms', 'n ms') $$;
create function pg_temp.seconds(hint text) returns text language sql as $$ select ceil(substring(hint from '^(\d+) ms')::numeric / 1000)::text $$;

select is(
  coalesce(a.fault, (select concat_ws(' | ', d.detail ->> 'status', b.body ->> 'code', b.body ->> 'message', b.body ->> 'details', pg_temp.same(b.body ->> 'hint'), d.detail -> 'headers')
                     from (select a.web_message::jsonb) b (body), (select a.web_detail::jsonb) d (detail))),
  concat_ws(' | ', split_part(a.expected, ' ', 1), substr(a.expected, 5), a.message, nullif(substr(a.detail, length(substr(a.expected, 5)) + 3), ''), pg_temp.same(a.hint),
            jsonb_strip_nulls(jsonb_build_object('Retry-After', pg_temp.seconds(a.hint), 'WWW-Authenticate', case when a.expected like '401%' then 'Bearer' end))),
  format('%s: %s gives PostgREST the response of PT%s', a.expected, split_part(a.statement, '(', 1), split_part(a.expected, ' ', 1)))
from answers a order by n;
select is(array_agg(n), null, 'outside a request of PostgREST each of these has SQLSTATE PTnnn and its code') from answers
where state is distinct from 'PT' || split_part(expected, ' ', 1) or split_part(detail, ': ', 1) is distinct from substr(expected, 5);
select is(array_agg(f.oid::regprocedure::text), null, 'the calls above refuse in each function that can refuse, except one of the sidecar')
from pg_proc f where f.pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace, 'sealcast_economy'::regnamespace)
  and f.prosrc like '%sealcast_internal.refuse(%' and f.proname <> 'switch_stream'
  and not exists (select from answers a where a.raised_by ~ format('PL/pgSQL function \S*\m%s\(', f.proname));

-- When it is a request of PostgREST.
create function pg_temp.form(setting text, value text, method text default 'POST') returns text language plpgsql as $$
declare
  state text;
begin
  perform set_config(setting, value, true);
  select c.state into state from pg_temp.call('sealcast_user', null, 'select sealcast.history(null)', method) c;
  perform set_config(setting, case setting when 'sealcast.postgrest_errors' then 'on' else '' end, true);
  return state;
end $$;
select is(pg_temp.form('application_name', 'PostgREST 12.0.3 (a1b2c3d)'), 'PGRST', 'PostgREST 12 gets PGRST');
select is(pg_temp.form('application_name', 'PostgREST 16.2'), 'PGRST', 'PostgREST 16 gets PGRST');
select is(pg_temp.form('application_name', 'postgrest'), 'PGRST', 'a PostgREST that has another application_name gets PGRST');
select is(pg_temp.form('application_name', 'PostgREST 11.2.2 (a1b2c3d)'), 'PT404', 'PostgREST 11, which does not know PGRST, gets PTnnn');
select is(pg_temp.form('application_name', 'PostgREST 12.0.3', ''), 'PT404', 'without request.method and request.path it is no request');
select is(pg_temp.form('sealcast.postgrest_errors', 'off'), 'PT404', 'with sealcast.postgrest_errors off there is only PTnnn');
set local request.method = 'POST';
select is((pg_temp.try('sealcast_user', null, 'select sealcast.history(null)')).state, 'PT404', 'request.method alone makes no request of PostgREST');
set local role sealcast_user;
select lives_ok('set local sealcast.postgrest_errors = off', 'every role may set sealcast.postgrest_errors');
reset role;
select * from finish();
rollback;
