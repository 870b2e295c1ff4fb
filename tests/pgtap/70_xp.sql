-- Tests experience points (XP): the points of a message by type and role, the daily cap, and the levels.
begin;
\ir economy.psql
select plan(42);
create function pg_temp.total(user_id uuid) returns bigint language sql as
  $$ select x.total from sealcast_economy.xp x where x.user_id = total.user_id $$;

delete from sealcast_economy.xp_rules;
insert into sealcast_economy.xp_rules values ('chat', null, 3, 10), ('chat', 'vip', 5, null), ('reaction', null, 1, 0), ('chat', 'mime', 0, null);
select throws_ok($$insert into sealcast_economy.xp_rules values ('chat', null, 9, null)$$, '23505', null, 'a type and role may have only one rule');

-- The rule of the role, else the rule of the type.
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :guest, 1) \g /dev/null
select is(pg_temp.total(:guest), 3::bigint, 'a message earns the points of its rule');
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :vip, 30, '{"user_role":"vip"}') \g /dev/null
select is(pg_temp.total(:vip), 150::bigint, 'a rule of a role has its own points and cap');
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :owner, 1, '{"user_role":"owner"}') \g /dev/null
select is(pg_temp.total(:owner), 3::bigint, 'a role without a rule earns by the rule of the type');
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :moderator, 4, '{"user_role":"mime"}') \g /dev/null
select is(pg_temp.total(:moderator), null, 'a rule of 0 points earns nothing');
select pg_temp.apply('sealcast_economy.xp_on_events', t, :moderator, 4) from unnest('{poll,announcement,reaction}'::text[]) t \g /dev/null
select is(pg_temp.total(:moderator), null, 'a type without a rule, and a rule with a cap of 0, earn nothing');
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :system, 1) \g /dev/null
select is(pg_temp.total(:system), null, 'the system earns nothing');
-- The sender chose this role.
update sealcast.message_types set server_fields = '{}' where t = 'chat';
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :owner, 1, '{"user_role":"vip"}') \g /dev/null
select is(pg_temp.total(:owner), 6::bigint, 'a role counts only where the server fills it in');
update sealcast.message_types set server_fields = '{user_role}' where t = 'chat';

-- The cap, per UTC day.
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :guest, 3) \g /dev/null
select is(pg_temp.total(:guest), 10::bigint, 'the last points before the cap are cut');
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :guest, 5) \g /dev/null
select is(pg_temp.total(:guest), 10::bigint, 'beyond the cap, no points are earned');
select is((select (messages, points) from sealcast_economy.xp_days where user_id = :guest), (9::bigint, 10::bigint), 'messages beyond the cap are counted');
set local timezone = 'Pacific/Kiritimati';
create temp table midnight as select (date_trunc('day', now() at time zone 'UTC') - interval '3 days') at time zone 'UTC' as at;
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :guest, 4, at => at + shift) from midnight, unnest(array[interval '-1 ms', interval '0']) shift \g /dev/null
select is(pg_temp.total(:guest), 30::bigint, 'a UTC day ends with its last millisecond');
select is((select array_agg(day order by day) from sealcast_economy.xp_days where user_id = :guest),
          (select array[(at at time zone 'UTC')::date - 1, (at at time zone 'UTC')::date, (now() at time zone 'UTC')::date] from midnight), 'days are UTC days in every time zone');

-- One user with two rules in one day.
select gen_random_uuid() as two \gset
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :'two', 4, '{"user_role":"vip"}'), pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :'two', 2) \g /dev/null
select is(array_agg(concat_ws(' ', messages, points, role) order by points), '{2 6,4 20 vip}', 'each rule counts its own messages and points of a day')
from sealcast_economy.xp_days where user_id = :'two';

-- Messages of several users, roles and days in one call.
create function pg_temp.mixed(one uuid, two uuid) returns sealcast.event[] language sql as $$
  select array_agg(('chat', 'a0000000-0000-4000-8000-000000000001', sender, gen_random_uuid(),
                    floor(extract(epoch from now()))::bigint * 1000 - days_ago * 86400000, n, json_build_object('user_role', role), null)::sealcast.event order by n)
  from (values (1, one, 'owner', 0), (2, two, 'vip', 0), (3, one, null, 0), (4, one, 'vip', 0), (5, one, 'guest', 1), (6, two, 'mime', 0),
               (7, '00000000-0000-0000-0000-000000000000', null, 0), (8, one, 'owner', 0), (9, one, 'guest', 0), (10, two, 'vip', 1)) v (n, sender, role, days_ago) $$;
create function pg_temp.days(of_user uuid) returns text language sql as $$
  select string_agg(concat_ws(' ', day - (now() at time zone 'UTC')::date, messages, points, role), ', ' order by day, role) from sealcast_economy.xp_days where user_id = of_user $$;
select gen_random_uuid() as a, gen_random_uuid() as b, gen_random_uuid() as c, gen_random_uuid() as d \gset
select sealcast_economy.xp_on_events(pg_temp.mixed(:'a', :'b')) \g /dev/null
select sealcast_economy.xp_on_events(array[e]) from unnest(pg_temp.mixed(:'c', :'d')) e \g /dev/null
select is(array[pg_temp.days(:'a'), pg_temp.total(:'a')::text, pg_temp.days(:'b'), pg_temp.total(:'b')::text],
          '{"-1 1 3, 0 1 5 vip, 0 4 10",18,"-1 1 5 vip, 0 1 0 mime, 0 1 5 vip",10}', 'one call counts each user, day and rule, with its cap');
select is(array[pg_temp.days(:'a'), pg_temp.total(:'a')::text, pg_temp.days(:'b'), pg_temp.total(:'b')::text],
          array[pg_temp.days(:'c'), pg_temp.total(:'c')::text, pg_temp.days(:'d'), pg_temp.total(:'d')::text], 'one call for many messages earns the points of many calls');

-- A rule changes within a day.
update sealcast_economy.xp_rules set daily_cap = 100 where t = 'chat' and role is null;
select pg_temp.apply('sealcast_economy.xp_on_events', 'chat', :owner, 1) \g /dev/null
select is(pg_temp.total(:owner), 9::bigint, 'a new cap applies to later messages');
select is((select sum(points) from sealcast_economy.xp_days where user_id = :owner), 9::numeric, 'after a new cap, the days add up to the total');
create function pg_temp.earns(user_id uuid, points integer, daily_cap integer, messages integer) returns bigint language plpgsql as $f$
begin
  update sealcast_economy.xp_rules r set points = earns.points, daily_cap = earns.daily_cap where t = 'chat' and role is null;
  perform pg_temp.apply('sealcast_economy.xp_on_events', 'chat', earns.user_id, messages);
  return coalesce(pg_temp.total(earns.user_id), 0);
end $f$;
select is(array[pg_temp.earns(:nowhere, 10, 100, 9), pg_temp.earns(:nowhere, 1, 100, 200)], '{90,100}'::bigint[], 'with fewer points per message, the cap holds');
select is(array[pg_temp.earns(:attic, 1, 10, 20), pg_temp.earns(:attic, 10, 100, 20)], '{10,100}'::bigint[], 'with a higher cap, the points up to it are earned');
select is(array[pg_temp.earns(:cave, 10, 100, 20), pg_temp.earns(:cave, 10, 50, 20), pg_temp.earns(:cave, 10, null, 1)], '{100,100,110}'::bigint[], 'a lower cap takes no points away');
select is((select array_agg(points order by points) from sealcast_economy.xp_days where user_id in (:nowhere, :attic, :cave)), '{100,100,110}'::bigint[], 'when rules change within a day, the days add up to the totals');

-- Levels.
select is(array(select sealcast_economy.xp_for_level(l) from generate_series(1, 6) l), '{0,100,300,600,1000,1500}', 'xp_for_level() gives the first points of each level');
select is(sealcast_economy.level_of(xp), level, format('%s points are level %s', xp, level))
from (values (0, 1), (99, 1), (100, 2), (299, 2), (300, 3), (-5, 1), (null, null)) v (xp, level);
select is((select count(*) from generate_series(1, 20000) l where sealcast_economy.level_of(sealcast_economy.xp_for_level(l)) <> l), 0::bigint, 'the first points of a level give this level');
select is((select count(*) from generate_series(2, 20000) l where sealcast_economy.level_of(sealcast_economy.xp_for_level(l) - 1) <> l - 1), 0::bigint, 'one point less than the first point of a level gives the level below');
select is(sealcast_economy.level_of(sealcast_economy.xp_for_level(300000000) - 1), 299999999, 'level_of() is exact for trillions of points');
select is(sealcast_economy.level_of(9223372036854775807), 429496730, 'level_of() takes the largest bigint');

-- Trimming keeps the points.
select is(sealcast_economy.trim_aggregates('2 days'), 0::bigint, 'days whose events may still be applied stay');
update sealcast.retention set keep_txn_ids = '1 day';
select is(sealcast_economy.trim_aggregates('2 days', 1), 1::bigint, 'a call removes max_rows rows at most');
select is(sealcast_economy.trim_aggregates('2 days'), 1::bigint, 'the next call removes the rest');
select is(sealcast_economy.trim_aggregates('2 days'), 0::bigint, 'a call without old rows removes none');
select is((select (total, earlier) from sealcast_economy.xp where user_id = :guest), (30::bigint, 20::bigint), 'trimming keeps the points');
select throws_ok(format('select sealcast_economy.trim_aggregates(%s)', arguments), '22023', null, 'trim_aggregates() refuses ' || arguments)
from unnest(array[$$'23 hours'$$, 'null', $$'2 days', 0$$]) arguments;
select * from finish();
rollback;
