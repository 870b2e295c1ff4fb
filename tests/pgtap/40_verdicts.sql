-- Tests every verdict of SQL: from admit() as a row, and from send_message() as SQLSTATE, DETAIL and HINT.
begin;
\ir scene.psql
select plan(77);

insert into sealcast.message_types (t, max_bytes) values ('small', 20);
select sealcast.mute(:room, :vip, now() + interval '1 minute') \g /dev/null
insert into sealcast.streams (stream_id, closed_at) values (:nowhere, now() + interval '1 hour');
select is(pg_temp.admit(:nowhere, 'chat', :guest, '{}'), '200', 'a stream that closes in an hour still takes messages');
delete from sealcast.streams where stream_id = :nowhere;
insert into sealcast.restrictions (user_id, stream_id, kind, until) values (:owner, :cave, 'ban', '2999-12-31T23:59:59.5Z');

-- admit()
create temp table asked (n serial, stream_id uuid, t text, sender_id uuid, d text, expected text, message text, details text, wait boolean);
insert into asked (stream_id, t, sender_id, d, expected, message, details, wait) values
  (:room, 'chat', :guest, '{"content":"hello"}', '200', null, null, false),
  (:room, 'chat', :guest, '{"a":', '400 invalid_json', 'd is not JSON', '^invalid JSON at byte ', false),
  (:room, 'chat', :guest, repeat('[', 1000000), '400 invalid_json', 'd is not JSON', 'deeper than 128', false),
  (:room, 'chat', :guest, '', '400 invalid_json', 'd is not JSON', 'unexpected end of text', false),
  (:room, 'chat', :guest, '[]', '400 invalid_json', 'd is not JSON', 'object', false),
  (:room, 'chat', :guest, '{"a":1,"a":2}', '400 invalid_json', 'd is not JSON', 'duplicate key', false),
  (:room, 'chat', :guest, '{"n":9007199254740993}', '400 invalid_json', 'd is not JSON', '(exact|double)', false),
  (:room, 'chat', :guest, null, '400 invalid_request', 'null', null, false),
  (:room, null, :guest, '{}', '400 invalid_request', 'null', null, false),
  (null, 'chat', :guest, '{}', '400 invalid_request', 'null', null, false),
  (:room, 'chat', null, '{}', '400 invalid_request', 'null', null, false),
  (:room, 'chat', :vip, '{}', '403 user_muted', 'muted in this stream', '^until 2\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$', true),
  (:cave, 'chat', :owner, '{}', '403 user_banned', 'banned from this stream', '^until 2999-12-31T23:59:59\.500Z$', true),
  (:room, 'announcement', :guest, '{}', '403 role_required', 'announcement', '^owner, moderator$', false),
  (:room, 'announcement', :owner, '{}', '200', null, null, false),
  (:room, 'transport_migrate', :owner, '{}', '403 role_required', 'transport_migrate', 'only the system', false),
  (:room, 'sampling_update', :guest, '{}', '403 role_required', 'sampling_update', 'only the system', false),
  (:room, 'viewer_count_update', :guest, '{}', '403 role_required', 'viewer_count_update', 'only the system', false),
  (:room, 'transport_migrate', :system, '{}', '200', null, null, false),
  (:room, 'chat', :system, '{}', '403 role_required', 'chat', null, false),
  (:attic, 'chat', :guest, '{}', '403 stream_closed', 'closed', '^since ', false),
  (:nowhere, 'chat', :guest, '{}', '404 stream_not_found', 'a0000000-0000-4000-8000-00000000000f', null, false),
  (:room, 'small', :guest, '{"a":"0123456789"}', '200', null, null, false),
  (:room, 'small', :guest, '{"a":"0123456789ab"}', '200', null, null, false),
  (:cave, 'transport_migrate', :system, '{}', '200', null, null, false),
  (:room, 'small', :guest, '{"a":"0123456789abcdef"}', '413 payload_too_large', '24 bytes, but type small allows at most 20', null, false),
  (:room, 'no_such', :guest, '{}', '422 unknown_type', 'no_such', null, false);
select is(pg_temp.admit(stream_id, t, sender_id, d), expected, format('admit() answers %s to %s of type %s from %s', expected, coalesce(nullif(left(d, 30), ''), 'an empty text'), coalesce(t, 'null'), coalesce(sender_id::text, 'null'))) from asked order by n;

-- The same messages as one batch: a failed item fails alone, and the verdicts are in order.
create temp table verdict as
select v.*, row_number() over () as place
from (select array_agg(stream_id order by n) s, array_agg(t order by n) t, array_agg(sender_id order by n) u,
             array_agg(gen_random_uuid()) x, array_agg(d order by n) d from asked) b,
     sealcast.admit(b.s, b.t, b.u, b.x, b.d) v;
select results_eq('select concat_ws('' '', status, code) from verdict order by place', 'select expected from asked order by n',
                  'one batch gives each message the verdict that it gets alone');
select is((select array_agg(item order by place) from verdict), (select array_agg(n order by n) from asked), 'the verdicts are in the order of the items');
select is((select array_agg(item) from verdict where (status = 200) <> (envelope is not null)), null, 'exactly the verdicts of status 200 have an envelope');
select is((select array_agg(item) from verdict where status <> 200 and (message is null or hint is null or replayed)), null,
          'each refusal has a message and a hint');
select is((select array_agg(v.item) from verdict v join asked a on a.n = v.item where v.message !~ a.message), null, 'each refusal of a batch has the message of its reason');
select is((select array_agg(v.item) from verdict v join asked a on a.n = v.item
           where a.details is distinct from null and v.details !~ a.details), null, 'each refusal of a batch has the details of its reason');
select is((select array_agg(v.item) from verdict v join asked a on a.n = v.item where a.wait <> (coalesce(v.retry_after_ms, 0) > 0)), null,
          'exactly the refusals that end by themselves have retry_after_ms');
select is((select retry_after_ms between 50000 and 60000 from verdict where code = 'user_muted'), true, 'retry_after_ms is in milliseconds');
select is((select count(*) from sealcast.messages where sender_id = :guest and stream_id = :room), 6::bigint, 'refused messages are not stored');
select is((select count(*) from verdict v where status = 200 and sealcast.verify_detail(envelope::json) <> 'ok'), 0::bigint, 'each stored message verifies');

select is((select concat_ws(' ', status, code, message) from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], '{null}', '{"{}"}')),
          '400 invalid_request txn_id is null', 'a message without a txn_id is refused');
select is((select count(*) from sealcast.admit('{}', '{}', '{}', '{}', '{}')), 0::bigint, 'an empty batch has no verdicts');
select throws_ok(format('select sealcast.admit(array[%L::uuid], ''{chat,chat}'', array[%L::uuid], array[gen_random_uuid()], ''{"{}"}'')', :room, :guest), '2202E', null, 'arrays of different lengths are an error');
select throws_ok(format('select sealcast.admit(''[0:0]={%s}'', ''{chat}'', ''{%s}'', array[gen_random_uuid()], ''{"{}"}'')', :room, :guest), '2202E', null, 'arrays that do not begin at 1 are an error');

-- send_message()
create function pg_temp.send(stream_id uuid, t text, d text, txn_id uuid default gen_random_uuid()) returns text
  language sql as $$ select format('select sealcast.send_message(%L, %L, %L, %L)', stream_id, t, d, txn_id) $$;
create temp table sent (n serial, sub text, statement text, expected text);
insert into sent (sub, statement, expected) values
  (:guest, pg_temp.send(:room, 'chat', '{"content":"hello"}'), 'ok'),
  (:guest, pg_temp.send(:room, 'chat', '{"a":1,"a":2}'), 'PT400 invalid_json'),
  (:guest, pg_temp.send(:room, 'chat', '"text"'), 'PT400 invalid_json'),
  (:guest, pg_temp.send(:room, 'chat', '{'), '22P02'),
  (:guest, pg_temp.send(null, 'chat', '{}'), 'PT400 invalid_request'),
  (:guest, pg_temp.send(:room, null, '{}'), 'PT400 invalid_request'),
  (:guest, pg_temp.send(:room, 'chat', null), 'PT400 invalid_request'),
  (:guest, pg_temp.send(:room, 'chat', '{}', null), 'PT400 invalid_request'),
  (null, pg_temp.send(:room, 'chat', '{}'), 'PT401 unauthenticated'),
  (:system, pg_temp.send(:room, 'transport_migrate', '{}'), 'PT401 unauthenticated'),
  ('someone', pg_temp.send(:room, 'chat', '{}'), 'PT401 unauthenticated'),
  ('{"sub": 7}', pg_temp.send(:room, 'chat', '{}'), 'PT401 unauthenticated'),
  ('{"sub": "\u0000"}', pg_temp.send(:room, 'chat', '{}'), 'PT401 unauthenticated'),
  ('{"sub', pg_temp.send(:room, 'chat', '{}'), 'PT401 unauthenticated'),
  ('{"sub": "b0000000-0000-4000-8000-000000000004", "exp": 1700000000}', pg_temp.send(:room, 'chat', '{}'), 'PT401 token_expired'),
  ('{"sub": "b0000000-0000-4000-8000-000000000004", "exp": 32503680000}', pg_temp.send(:room, 'chat', '{}'), 'ok'),
  (:vip, pg_temp.send(:room, 'chat', '{}'), 'PT403 user_muted'),
  (:owner, pg_temp.send(:cave, 'chat', '{}'), 'PT403 user_banned'),
  (:guest, pg_temp.send(:room, 'announcement', '{}'), 'PT403 role_required'),
  (:guest, pg_temp.send(:attic, 'chat', '{}'), 'PT403 stream_closed'),
  (:guest, pg_temp.send(:nowhere, 'chat', '{}'), 'PT404 stream_not_found'),
  (:guest, pg_temp.send(:room, 'small', '{"a":"0123456789abcdef"}'), 'PT413 payload_too_large'),
  (:guest, pg_temp.send(:room, 'no_such', '{}'), 'PT422 unknown_type'),
  (:guest, pg_temp.send(:room, 'NO SUCH|=', '{}'), 'PT422 unknown_type');
select is(pg_temp.outcome('sealcast_user', sub, statement), expected, format('the answer to the session %s is %s: %s', coalesce(sub, 'null'), expected, regexp_replace(statement, ', ''[-0-9a-f]{36}''\)$', ', …)')))
from sent order by n;
select is((select array_agg(n) from sent, lateral pg_temp.try('sealcast_user', sub, statement) r
           where r.state like 'PT%' and (r.hint = '' or r.message = '')), null, 'each refusal has a message and a hint');
select matches((select detail || '|' || hint from pg_temp.try('sealcast_user', :vip, pg_temp.send(:room, 'chat', '{}'))),
               '^user_muted: until \S+Z\|\d{4,5} ms: ', 'DETAIL begins with the code, and HINT with the milliseconds to wait');
select is(sealcast.verify_detail(result::json), 'ok', 'send_message() returns a sealed envelope')
from pg_temp.try('sealcast_user', :guest, pg_temp.send(:room, 'chat', '{"content":"hello"}'));

-- The gate cannot be asked: it fails closed.
set local sealcast.gate = on;
set local sealcast.gate_socket = '/nonexistent/sealcast.sock';
select is(state || ' ' || split_part(detail, ':', 1) || ' ' || (hint ~ '^\d+ ms: '), 'PT503 gate_unavailable true', 'send_message() is refused when the gate is unavailable')
from pg_temp.try('sealcast_user', :guest, pg_temp.send(:room, 'chat', '{}', 'c0000000-0000-4000-8000-000000000001'));
select is((select count(*) from sealcast.txn_keys where txn_id = 'c0000000-0000-4000-8000-000000000001'), 0::bigint, 'an unavailable gate inserts nothing');
set local sealcast.gate = off;
select is(pg_temp.outcome('sealcast_user', :guest, 'set local sealcast.gate = off'), '42501', 'only a superuser may switch the gate off');

-- admit() does not fire triggers of the user on sealcast.messages and does not follow rules, so it must refuse them loudly.
savepoint before;
create function pg_temp.on_message() returns trigger language plpgsql as $$begin return new; end$$;
create trigger watch after insert on sealcast.messages for each row execute function pg_temp.on_message();
select is(state || ' ' || (message ~ 'messages.*trigger') || ' ' || (hint ~ 'admit_hook'), '55000 true true', 'a trigger on sealcast.messages is an error with a hint')
from pg_temp.try('sealcast_user', :guest, pg_temp.send(:room, 'chat', '{}'));
rollback to before;
create table pg_temp.copies (d text);
create rule copy_messages as on insert to sealcast.messages do also insert into pg_temp.copies values (new.d);
select is(state || ' ' || message || ' ' || (hint ~ 'admit_hook'), '55000 admission does not follow rule copy_messages on table sealcast.messages true', 'a rule on sealcast.messages is an error with a hint')
from pg_temp.try('sealcast_user', :guest, pg_temp.send(:room, 'chat', '{}'));
rollback to before;

-- No partition for the messages of now. Repeats still get their envelopes.
select pg_temp.admit(:room, 'chat', :guest, '{"n":1}', 'c0000000-0000-4000-8000-00000000000a') \g /dev/null
update sealcast.messages set ts = ts - 86400000 where txn_id = 'c0000000-0000-4000-8000-00000000000a';
update sealcast.txn_keys set ts = ts - 86400000 where txn_id = 'c0000000-0000-4000-8000-00000000000a';
do $$ declare p regclass; begin for p in select partition from sealcast_internal.partitions('sealcast.messages') where day >= current_date loop
  execute 'alter table sealcast.messages detach partition ' || p; end loop; end $$;
select is(state || ' ' || split_part(detail, ':', 1) || ' ' || (detail ~ 'maintain') || ' ' || (hint ~ '^1000 ms: '), 'PT503 no_partition true true', 'without a partition for the messages of now, send_message() is refused with 503 and names maintain()')
from pg_temp.try('sealcast_user', :guest, pg_temp.send(:room, 'chat', '{}', 'c0000000-0000-4000-8000-00000000000b'));
select results_eq(
  $$select status, code, replayed from sealcast.admit(array_fill('a0000000-0000-4000-8000-000000000001'::uuid, '{3}'), '{chat,chat,nonsense}', array_fill('b0000000-0000-4000-8000-000000000004'::uuid, '{3}'),
      '{c0000000-0000-4000-8000-00000000000a,c0000000-0000-4000-8000-00000000000b,c0000000-0000-4000-8000-00000000000c}', '{"{\"n\":1}","{}","{}"}')$$,
  $$values (200, null, true), (503, 'no_partition', false), (422, 'unknown_type', false)$$, 'each item of a batch has its own verdict without a partition');
select is((select count(*) from sealcast.txn_keys where txn_id = 'c0000000-0000-4000-8000-00000000000b'), 0::bigint, 'a message without a partition leaves no key behind');
select * from finish();
rollback;
