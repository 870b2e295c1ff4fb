-- Experience points (XP): a rule sets how many points a message earns, and how many points per day at most.

create table sealcast_economy.xp_rules (
  t text not null,
  role text,
  points integer not null check (points between 0 and 1000000),
  daily_cap integer check (daily_cap >= 0),
  constraint xp_rules_key unique nulls not distinct (t, role)
);
comment on table sealcast_economy.xp_rules is
  'The points that a message of type t earns its sender. The rule of the sender''s role applies, else the rule with role null';
comment on column sealcast_economy.xp_rules.daily_cap is 'The most points that one user earns by this rule in a UTC day; null: no limit';

create table sealcast_economy.xp (
  user_id uuid primary key,
  total bigint not null check (total >= 0),
  earlier bigint not null default 0 check (earlier between 0 and total)
) with (fillfactor = 80);
comment on table sealcast_economy.xp is 'The points of each user in all streams together';
comment on column sealcast_economy.xp.earlier is 'The part of total from days that trim_aggregates() has removed';

create table sealcast_economy.xp_days (
  user_id uuid not null,
  day date not null,
  t text not null,
  role text,
  messages bigint not null,
  points bigint not null,
  constraint xp_days_key unique nulls not distinct (user_id, day, t, role)
) with (fillfactor = 80);
comment on table sealcast_economy.xp_days is 'The messages and points of each user, by rule (t, role) and UTC day';
create index xp_days_day on sealcast_economy.xp_days using brin (day);

-- Returns the sender's role in the stream, if the server fills it in for this type. Otherwise the sender chose it, and
-- the result is null.
create function sealcast_economy.stated_role(t text, d json) returns text
  language sql stable
  return (select d ->> 'user_role' from sealcast.message_types y
          where y.t = stated_role.t and 'user_role' = any (y.server_fields));

-- Returns the rule that applies, or null.
create function sealcast_economy.xp_rule(t text, role text) returns sealcast_economy.xp_rules
  language sql stable
begin atomic
  select r.* from sealcast_economy.xp_rules r
  where r.t = xp_rule.t and (r.role = xp_rule.role or r.role is null)
  order by r.role nulls last limit 1;
end;

-- Returns the points that the first `messages` messages of a day earn together, by a rule that does not change.
create function sealcast_economy.xp_earned(messages bigint, points integer, daily_cap integer) returns bigint
  language sql immutable parallel safe
  return least(messages * points, daily_cap);

-- Returns the points that one more message earns, when its sender has earned `earned` points by this rule in this day. So
-- the cap holds also when the rule changes within the day.
create function sealcast_economy.xp_gain(earned bigint, points integer, daily_cap integer) returns bigint
  language sql immutable parallel safe
  return greatest(least(points, daily_cap - earned), 0);

create function sealcast_economy.xp_on_event(event sealcast.event) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  rule constant sealcast_economy.xp_rules :=
    sealcast_economy.xp_rule(event.t, sealcast_economy.stated_role(event.t, event.d));
  event_day constant date := sealcast_economy.day_of(event.ts);
  gained bigint;
begin
  if rule.t is null or not sealcast_economy.is_users(event.sender_id) then
    return;
  end if;
  -- The subquery locks the row and reads its newest version, also when another worker has just changed it.
  loop
    update sealcast_economy.xp_days d set messages = d.messages + 1, points = before.points + before.gained
    from (select x.points, sealcast_economy.xp_gain(x.points, rule.points, rule.daily_cap) as gained
          from sealcast_economy.xp_days x
          where x.user_id = event.sender_id and x.day = event_day and x.t = rule.t and x.role is not distinct from rule.role
          for update) before
    where d.user_id = event.sender_id and d.day = event_day and d.t = rule.t and d.role is not distinct from rule.role
    returning before.gained into gained;
    exit when found;
    insert into sealcast_economy.xp_days (user_id, day, t, role, messages, points)
      values (event.sender_id, event_day, rule.t, rule.role, 0, 0)
    on conflict on constraint xp_days_key do nothing;
  end loop;
  if gained > 0 then
    insert into sealcast_economy.xp as x (user_id, total) values (event.sender_id, gained)
    on conflict (user_id) do update set total = x.total + excluded.total;
  end if;
end $$;
comment on function sealcast_economy.xp_on_event(sealcast.event) is 'Handler: adds the points of one message';

-- Level n begins at 50 n (n - 1) points: each level takes 100 points more than the level before it.
create function sealcast_economy.xp_for_level(level integer) returns bigint
  language sql immutable strict parallel safe
  return 50::bigint * level * (level - 1);
comment on function sealcast_economy.xp_for_level(integer) is 'Returns the points at which a level begins: 0, 100, 300, 600, 1000, …';

-- Twenty decimal places distinguish the last point before a level from its first point, for any bigint.
create function sealcast_economy.level_of(xp bigint) returns integer
  language sql immutable strict parallel safe
  return floor((1 + sqrt((1 + greatest(xp, 0) / 12.5)::numeric(40, 20))) / 2);
comment on function sealcast_economy.level_of(bigint) is 'Returns the level for a number of points; levels begin with 1';
