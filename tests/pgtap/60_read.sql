-- Tests the reads: the history by offset, the rows for the caches of the sidecar, and the rows that row-level security
-- shows.
begin;
\ir scene.psql
select plan(57);

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

select is((select count(*) from sealcast.history(:nowhere)), 0::bigint, 'a stream that does not exist has no history');
select throws_ok(format('select * from sealcast.history(%L, max_rows => 0)', :room), '22023', null, 'max_rows of 0 is an error');
select throws_ok(format('select * from sealcast.history(%L, max_rows => null)', :room), '22023', null, 'a null max_rows is an error');

select is(a::text, '(t,t,f,public,1,10)', 'everybody may read a public stream') from sealcast.stream_access(:room, null) a;
select is(a::text, '(t,f,f,private,1,1)', 'a private stream is not readable without a user') from sealcast.stream_access(:cave, null) a;
select is(a::text, '(t,f,f,private,1,1)', 'a private stream is not readable for a user without a role') from sealcast.stream_access(:cave, :guest) a;
select is(a::text, '(t,t,t,private,1,1)', 'a private stream is readable for a user with a role') from sealcast.stream_access(:cave, :vip) a;
select is(a::text, '(t,t,f,public,1,0)', 'the first offset of an empty stream is 1') from sealcast.stream_access(:attic, null) a;
select is((a).found, false, 'a stream that does not exist is not found') from sealcast.stream_access(:nowhere, :vip) a;
insert into sealcast.restrictions (user_id, stream_id, kind) values (:vip, :cave, 'ban');
select is(a.readable, false, 'a banned user may not read a private stream') from sealcast.stream_access(:cave, :vip) a;
update sealcast.restrictions set until = clock_timestamp();
select is(a.readable, true, 'a user may read again when the ban has ended') from sealcast.stream_access(:cave, :vip) a;

-- Retention.
delete from sealcast.stream_runs where stream_id = :room and "offset" <= 4;
update sealcast.streams set trimmed_through = 4 where stream_id = :room;
select is((a.first_offset, a.last_offset), (5::bigint, 10::bigint), 'the first offset is the oldest kept one') from sealcast.stream_access(:room, null) a;
delete from sealcast.stream_runs where stream_id = :room;
update sealcast.streams set trimmed_through = 10 where stream_id = :room;
select is((a.first_offset, a.last_offset), (11::bigint, 10::bigint), 'without kept offsets, the first offset is the next one') from sealcast.stream_access(:room, null) a;

update sealcast.message_types set rate = 7, max_bytes = 99, role_rates = '{"moderator": 20}' where t = 'chat';
select is(g::text, '(chat,99,7,"{""moderator"": 20}",f)', 'gate_limits() returns the limits of a type') from sealcast.gate_limits() g where t = 'chat';
select is((select array_agg(t) from sealcast.gate_limits() where system_only), array['sampling_update', 'transport_migrate', 'transport_warmup', 'viewer_count_update'], 'gate_limits() returns which types are for the system only');
select throws_ok(format($$update sealcast.message_types set role_rates = %L where t = 'chat'$$, bad), '23514', null, 'role_rates refuses ' || bad)
from unnest(array['[]', '{"a": 0}', '{"a": "5"}', '{"a": [5]}', '{"a": null}']) bad;
select is((select array_agg(concat(item, role) order by item) from sealcast.roles_of(array[:room, :room, :cave]::uuid[], array[:owner, :guest, :vip]::uuid[])),
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
