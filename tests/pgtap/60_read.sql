-- Tests the reads: the history by offset, the rows for the caches of the sidecar, and the rows that row-level security
-- shows.
begin;
\ir scene.psql
select plan(77);

-- Ten messages in the room and one in the cave, each logged as a run of its own.
select pg_temp.admit(:room, 'chat', :guest, json_build_object('n', n)::text) from generate_series(1, 10) n \g /dev/null
select pg_temp.admit(:cave, 'chat', :vip, '{}') \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select stream_id, row_number() over (partition by stream_id order by message_id), 1, ts, ts, message_id
from sealcast.messages where stream_id in (:room, :cave);
create function pg_temp.page(after bigint, before bigint, max_rows integer) returns text language sql as $$
  select string_agg(concat("offset", case when prev <> "offset" - 1 then '!' end,
                           case when (envelope::json -> 'd' ->> 'n')::int <> "offset" then '?' end), ' ' order by place)
  from (select *, row_number() over () as place
        from sealcast.history('a0000000-0000-4000-8000-000000000001', after, before, max_rows)) h $$;
select is(pg_temp.page(0, null, 3), '1 2 3', 'after 0, a page begins with the first message');
select is(pg_temp.page(3, null, 3), '4 5 6', 'a page begins after `after`');
select is(pg_temp.page(8, null, 50), '9 10', 'a page ends with the newest message');
select is(pg_temp.page(10, null, 50), null, 'after the newest message, a page is empty');
select is(pg_temp.page(null, null, 3), '8 9 10', 'without `after`, a page is the newest messages, in ascending order');
select is(pg_temp.page(null, 8, 3), '5 6 7', 'without `after`, a page is the last messages before `before`');
select is(pg_temp.page(2, 5, 50), '3 4', 'a page can be between `after` and `before`');
select is(pg_temp.page(null, 1, 50), null, 'before the first message, a page is empty');
select is(pg_temp.page(9223372036854775807, null, 50), null, 'after the largest bigint, a page is empty');
select is(pg_temp.page(-9223372036854775808, 9223372036854775807, 2), '1 2', 'the smallest and largest bigint are valid limits');
-- The same offsets, logged as runs of 4, 1 and 5 messages.
create temp table ids as select row_number() over (order by message_id) as n, message_id from sealcast.messages where stream_id = :room;
update sealcast.messages set message_id = 1000 + n, ts = (select min(ts) from sealcast.messages where stream_id = :room)
from ids where ids.message_id = messages.message_id and stream_id = :room;
delete from sealcast.stream_runs where stream_id = :room;
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select :room, first, count, ts, ts, 1000 + first
from (values (1, 4), (5, 1), (6, 5)) run (first, count), (select min(ts) as ts from sealcast.messages where stream_id = :room) t;
select is(pg_temp.page(after, before, max_rows), expected, format('a page of runs after %s before %s', after, before)) from (values
  (0, null, 3, '1 2 3'), (0, null, 5, '1 2 3 4 5'), (2, null, 3, '3 4 5'), (3, null, 1, '4'), (4, null, 3, '5 6 7'), (8, null, 50, '9 10'),
  (10, null, 50, null), (2, 5, 50, '3 4'), (6, 8, 50, '7'), (null, null, 3, '8 9 10'), (null, null, 7, '4 5 6 7 8 9 10'),
  (null, 8, 3, '5 6 7'), (null, 3, 50, '1 2'), (null, 3, 1, '2'), (null, 1, 50, null), (9223372036854775807, null, 50, null),
  (-9223372036854775808, 9223372036854775807, 2, '1 2')) page (after, before, max_rows, expected);
select results_eq(format('select "offset", message_id from sealcast.stream_log where stream_id = %L order by 1', :room),
                  'select n::bigint, 1000 + n::bigint from generate_series(1, 10) n', 'stream_log shows each message of a run');

select is((select count(*) from sealcast_internal.read_history(:nowhere, 0, null, 50, false)), 0::bigint, 'a stream that does not exist has no history');
select throws_ok(format('select * from sealcast_internal.read_history(%L, 0, null, %s, false)', :room, n), '22023', null, format('max_rows of %s is an error', n))
from unnest('{0,10001,null}'::text[]) with ordinality v (m, i) cross join lateral (select coalesce(m, 'null')) w (n);

-- history(), by all who may call it.
create function pg_temp.reads(sub text, stream text, arguments text default '') returns text language sql as $$
  select coalesce(concat_ws(' ', state, split_part(detail, ':', 1)), '')
         || coalesce(result, '')
  from pg_temp.try('sealcast_user', sub, format('select string_agg("offset"::text, %L) from sealcast.history(%L%s)', ' ', stream, arguments)) $$;
select is(pg_temp.reads(sub, stream, arguments), expected, why) from (values
  (null, :room, ', "limit" => 2', '9 10', 'without a session, a public stream can be read'),
  (:guest, :room, ', after => 0, "limit" => 2', '1 2', 'a user reads a public stream'),
  (:guest, :room, ', before => 3, channel => ''public''', '1 2', 'a user reads the public channel'),
  (null, :cave, '', 'PT401 unauthenticated', 'without a session, a private stream cannot be read'),
  ('{"sub": "b0000000-0000-4000-8000-000000000003", "exp": 1}', :cave, '', 'PT401 token_expired', 'with an expired session, a private stream cannot be read'),
  (:guest, :cave, '', 'PT403 role_required', 'a user without a role cannot read a private stream'),
  (:vip, :cave, '', '1', 'a user with a role reads a private stream'),
  (:guest, :nowhere, '', 'PT404 stream_not_found', 'a stream that does not exist is not found'),
  (:guest, :room, ', "limit" => 0', 'PT400 invalid_request', 'a limit of 0 is refused'),
  (:guest, :room, ', "limit" => 501', 'PT400 invalid_request', 'a limit of 501 is refused'),
  (:guest, :room, ', "limit" => null', 'PT400 invalid_request', 'a limit of null is refused'),
  (:guest, :room, ', channel => ''staff''', 'PT400 invalid_request', 'an unknown channel is refused'),
  (:guest, :room, ', channel => null', 'PT400 invalid_request', 'a channel of null is refused')) v (sub, stream, arguments, expected, why);
select is(pg_temp.outcome('sealcast_admin', null, format('select * from sealcast.history(%L)', :cave)), 'ok', 'an admin reads a private stream');

select is(a::text, '(t,t,f,public,1,10,,' || sealcast.log_epoch() || ',0,f)', 'everybody may read a public stream') from sealcast_internal.stream_access(:room, null) a;
select is(a::text, '(t,f,f,private,1,1,,' || sealcast.log_epoch() || ',0,f)', 'a private stream is not readable without a user') from sealcast_internal.stream_access(:cave, null) a;
select is(a::text, '(t,f,f,private,1,1,,' || sealcast.log_epoch() || ',0,f)', 'a private stream is not readable for a user without a role') from sealcast_internal.stream_access(:cave, :guest) a;
select is(a::text, '(t,t,t,private,1,1,,' || sealcast.log_epoch() || ',0,f)', 'a private stream is readable for a user with a role') from sealcast_internal.stream_access(:cave, :vip) a;
select is(a::text, '(t,t,f,public,1,0,,' || sealcast.log_epoch() || ',0,f)', 'the first offset of an empty stream is 1') from sealcast_internal.stream_access(:attic, null) a;
select is((a).found, false, 'a stream that does not exist is not found') from sealcast_internal.stream_access(:nowhere, :vip) a;
insert into sealcast.restrictions (user_id, stream_id, kind) values (:vip, :cave, 'ban'), (:guest, :cave, 'ban');
select is(pg_temp.reads(u, :cave), 'PT403 user_banned', 'a banned user is told of the ban, with a role or without') from unnest(array[:vip, :guest]) u;
delete from sealcast.restrictions where user_id = :guest;
select is((a.readable, a.vip, a.ban), (false, false, ''::text), 'a banned user may not read a private stream') from sealcast_internal.stream_access(:cave, :vip) a;
create function pg_temp.rights() returns text language sql as $$
  select string_agg(concat_ws(' ', case when a.found then 'found' end, case when a.readable then 'readable' end,
                              case when a.vip then 'vip' end, case when a.banned then 'banned' end), ', ' order by a.item)
  from sealcast_internal.reader_access(
    array['a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002',
          'a0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-00000000000f']::uuid[],
    array[null, 'b0000000-0000-4000-8000-000000000003', null, 'b0000000-0000-4000-8000-000000000003',
          'b0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000003']::uuid[]) a $$;
select is(pg_temp.rights(), 'found readable, found readable vip, found, found banned, found readable vip, ', 'reader_access() returns the rights of each pair');
update sealcast.restrictions set stream_id = null;
select is(pg_temp.rights(), 'found readable, found readable banned, found, found banned, found readable vip, ',
          'a ban in all streams takes the vip channel of a public stream too');
update sealcast.restrictions set until = clock_timestamp();
select is(a.readable, true, 'a user may read again when the ban has ended') from sealcast_internal.stream_access(:cave, :vip) a;

-- Retention.
delete from sealcast.stream_runs where stream_id = :room and "offset" <= 4;
update sealcast.streams set trimmed_through = 4 where stream_id = :room;
select is((a.first_offset, a.last_offset), (5::bigint, 10::bigint), 'the first offset is the oldest kept one') from sealcast_internal.stream_access(:room, null) a;
delete from sealcast.stream_runs where stream_id = :room;
update sealcast.streams set trimmed_through = 10 where stream_id = :room;
select is((a.first_offset, a.last_offset), (11::bigint, 10::bigint), 'without kept offsets, the first offset is the next one') from sealcast_internal.stream_access(:room, null) a;

update sealcast.message_types set rate = 7, max_bytes = 99, role_rates = '{"moderator": 20}' where t = 'chat';
select is(g::text, '(chat,99,7,"{""moderator"": 20}",f,2)', 'gate_limits() returns the limits of a type') from sealcast_internal.gate_limits() g where t = 'chat';
select is((select array_agg(t) from sealcast_internal.gate_limits() where system_only), array['message_redacted', 'messages_purged', 'pinned', 'sampling_update', 'stream_rules', 'transport_migrate', 'transport_warmup', 'viewer_count_update'], 'gate_limits() returns which types are for the system only');
select throws_ok(format($$update sealcast.message_types set role_rates = %L where t = 'chat'$$, bad), '23514', null, 'role_rates refuses ' || bad)
from unnest(array['[]', '{"a": 0}', '{"a": "5"}', '{"a": [5]}', '{"a": null}']) bad;
select throws_like($$update sealcast.message_types set rate = 0 where t = 'chat'$$, '%"rate_from_1_to_1000_per_second"', 'a refused rate says which rates are valid');
select is((select array_agg(concat(item, role) order by item) from sealcast_internal.roles_of(array[:room, :room, :cave]::uuid[], array[:owner, :guest, :vip]::uuid[])),
          array['1owner', '2', '3vip'], 'roles_of() returns one role per item');

-- Rows that a user sees in the tables.
create function pg_temp.sees(sub text, what text) returns text language sql as $$
  select coalesce(state, result) from pg_temp.try('sealcast_user', sub, what) $$;
select is(pg_temp.sees(sub, $$select count(*) from sealcast.messages where stream_id = 'a0000000-0000-4000-8000-000000000002'$$), seen, why)
from (values (null, '0', 'a caller without a session sees no private message'), (:guest, '0', 'a guest sees no private message'), (:vip, '1', 'a user with a role sees a private message')) v (sub, seen, why);
select is(pg_temp.sees(:guest, $$select string_agg(title, ' ' order by title) from sealcast.streams where stream_id::text like 'a0000000-0000-4000-8000-%'$$),
          'attic room', 'a guest does not see that a private stream exists');
select is(pg_temp.sees(:vip, $$select string_agg(role, ' ') from sealcast.stream_roles where stream_id = 'a0000000-0000-4000-8000-000000000001'$$), 'vip', 'a user sees their own role');
select is(pg_temp.sees(:moderator, $$select count(*) from sealcast.stream_roles where stream_id = 'a0000000-0000-4000-8000-000000000001'$$), '3', 'a moderator sees all roles in the stream');
select is(pg_temp.sees(:guest, 'select count(*) from sealcast.restrictions'), '0', 'a guest does not see the restrictions of others');
select is(pg_temp.sees(:vip, 'select count(*) from sealcast.restrictions'), '1', 'a user sees their own restrictions');
select * from finish();
rollback;
