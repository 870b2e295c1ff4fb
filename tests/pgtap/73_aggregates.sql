-- Tests aggregates: messages per minute and per user, who may read them, and how long they are kept.
begin;
\ir economy.psql
select plan(20);
create temp table noon as select (date_trunc('day', now() at time zone 'UTC') - interval '12 hours') at time zone 'UTC' as at;
\set handler '''sealcast_economy.aggregates_on_events'''

select pg_temp.apply(:handler, 'chat', :guest, 3, at => at) from noon \g /dev/null
select pg_temp.apply(:handler, 'reaction', :vip, 1, at => at + interval '59.999 s') from noon \g /dev/null
select pg_temp.apply(:handler, 'chat', :guest, 2, at => at + interval '60 s') from noon \g /dev/null
select pg_temp.apply(:handler, 'viewer_count_update', :system, 2, at => at) from noon \g /dev/null
select pg_temp.apply(:handler, 'chat', :owner, 5, at => at, stream_id => :cave) from noon \g /dev/null
select results_eq(format('select minute, messages from sealcast_economy.stream_minutes where stream_id = %L order by 1', :room),
                  $$select at + m * interval '1 minute', n from noon, (values (0, 4::bigint), (1, 2)) v (m, n)$$, 'messages of all types are counted, except those of the system');
select pg_temp.apply(:handler, 'chat', :vip, 1, at => at) from noon \g /dev/null
select is((select messages from sealcast_economy.stream_minutes, noon where stream_id = :room and minute = at), 5::bigint, 'later messages are added to a minute');
savepoint s;
select pg_temp.apply(:handler, 'chat', :vip, 10, at => at) from noon \g /dev/null
rollback to s;
select is((select messages from sealcast_economy.stream_minutes, noon where stream_id = :room and minute = at), 5::bigint, 'messages that were rolled back are not counted');
select pg_temp.apply(:handler, 'chat', :owner, 2, at => at - interval '12 hours 1 ms') from noon \g /dev/null

select results_eq(format('select * from sealcast_economy.top_chatters(%L, (select at::date from noon))', :room),
                  format('values (%L::uuid, 5::bigint), (%L, 2)', :guest, :vip), 'top_chatters() begins with the user with the most messages');
select results_eq(format('select * from sealcast_economy.top_chatters(%L, (select at::date from noon), 1)', :room),
                  format('values (%L::uuid, 5::bigint)', :guest), 'top_chatters() returns max_rows users at most');
select results_eq(format('select * from sealcast_economy.top_chatters(%L, (select at::date - 1 from noon))', :room),
                  format('values (%L::uuid, 2::bigint)', :owner), 'top_chatters() returns the users of one day');
select is_empty(format('select * from sealcast_economy.top_chatters(%L)', :room), 'top_chatters() of a day without messages is empty');
select results_eq(format('select messages from sealcast_economy.messages_per_minute(%L, (select at from noon), (select at + interval ''61 s'' from noon))', :room),
                  'values (5::bigint), (2)', 'messages_per_minute() returns one row per minute with messages');
select results_eq(format('select messages from sealcast_economy.messages_per_minute(%L, (select at + interval ''10 s'' from noon), (select at + interval ''60 s'' from noon))', :room),
                  'values (5::bigint)', 'messages_per_minute() returns the minute of since to before until');

-- Only callers who may read the stream get its aggregates.
select is(pg_temp.outcome('sealcast_user', who, format('select count(*) from sealcast_economy.%s', call)), outcome, format('%s for the caller %s gives %s', call, coalesce(who, 'without a session'), outcome))
from unnest(array[format('top_chatters(%L)', :cave), format('messages_per_minute(%L, now())', :cave)]) call,
     (values (:owner, 'ok'), (:guest, 'PT404 stream_not_found'), (null, 'PT404 stream_not_found')) v (who, outcome);
select is(pg_temp.outcome('sealcast_admin', null, format('select count(*) from sealcast_economy.top_chatters(%L)', :cave)), 'ok', 'sealcast_admin may read the aggregates of a private stream');
select is(pg_temp.outcome('sealcast_user', :guest, format('select count(*) from sealcast_economy.%s', call)), 'PT400 invalid_request', 'arguments out of bounds are refused: ' || call)
from unnest(array[format('top_chatters(%L, null, 1001)', :room), format('messages_per_minute(%L, now() - interval ''25 hours'')', :room)]) call;

-- Retention.
select pg_temp.apply(:handler, 'chat', :guest, 1, at => now() - interval '91 days') \g /dev/null
select is(sealcast_economy.trim_aggregates(), 2::bigint, 'counts of more than 90 days ago are deleted');
select is((select sum(messages) from sealcast_economy.chatters), 14::numeric, 'younger counts are kept');
select * from finish();
rollback;
