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

-- The types whose user_role the server fills in. In other messages the sender chose it, so it earns nothing.
create function sealcast_economy.types_with_role() returns text[]
  language sql stable
begin atomic
  select array(select y.t from sealcast.message_types y where 'user_role' = any (y.server_fields));
end;

-- Returns the role of the sender that the server filled in, or null. The caller reads types_with_role() once.
create function sealcast_economy.stated_role(t text, d json, types_with_role text[]) returns text
  language sql immutable parallel safe
  return case when t = any (types_with_role) then d ->> 'user_role' end;

-- Returns the rule that applies; no row: none does.
create function sealcast_economy.xp_rule(t text, role text) returns setof sealcast_economy.xp_rules
  language sql stable rows 1
begin atomic
  select r.* from sealcast_economy.xp_rules r
  where r.t = xp_rule.t and (r.role = xp_rule.role or r.role is null)
  order by r.role nulls last limit 1;
end;

-- Returns the points that more messages earn, when their sender has earned `earned` points by this rule in this day. So
-- the cap holds also when the rule changes within the day.
create function sealcast_economy.xp_gain(earned bigint, messages bigint, points integer, daily_cap integer) returns bigint
  language sql immutable parallel safe
  return greatest(least(messages * points, daily_cap - earned), 0);

-- The messages of a user in a day that earn points by one rule.
create type sealcast_economy.earning as (
  user_id uuid,
  day date,
  t text,
  role text,
  messages bigint,
  points integer,
  daily_cap integer
);

create function sealcast_economy.xp_on_events(events sealcast.event[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  with_role constant text[] := sealcast_economy.types_with_role();
  earnings sealcast_economy.earning[];
begin
  with sent as (
    select e.sender_id, sealcast_economy.day_of(e.ts) as day, e.t, count(*) as messages,
           sealcast_economy.stated_role(e.t, e.d, with_role) as role
    from unnest(events) e where sealcast_economy.is_users(e.sender_id)
    group by e.sender_id, day, e.t, role
  ), rules as materialized (
    select s.t, s.role as stated, r.role, r.points, r.daily_cap
    from (select distinct t, role from sent) s cross join lateral sealcast_economy.xp_rule(s.t, s.role) r
  ), earned as (
    select s.sender_id, s.day, s.t, r.role, sum(s.messages)::bigint as messages, r.points, r.daily_cap
    from sent s join rules r on r.t = s.t and r.stated is not distinct from s.role
    group by s.sender_id, s.day, s.t, r.role, r.points, r.daily_cap
  )
  select array_agg(row(e.*)::sealcast_economy.earning order by e.sender_id, e.day, e.t, e.role) into earnings from earned e;
  if earnings is null then
    return;
  end if;
  -- Locks all rows in one order, so that workers do not run into deadlocks: a conflict locks the row although it is not
  -- updated. The next statement then reads the newest versions.
  insert into sealcast_economy.xp_days as d (user_id, day, t, role, messages, points)
  select e.user_id, e.day, e.t, e.role, 0, 0 from unnest(earnings) e
  on conflict on constraint xp_days_key do update set messages = d.messages where false;
  with gains as (
    select e.*, sealcast_economy.xp_gain(d.points, e.messages, e.points, e.daily_cap) as gained
    from unnest(earnings) e
    join sealcast_economy.xp_days d on d.user_id = e.user_id and d.day = e.day and d.t = e.t and d.role is not distinct from e.role
  ), counted as (
    update sealcast_economy.xp_days d set messages = d.messages + g.messages, points = d.points + g.gained from gains g
    where d.user_id = g.user_id and d.day = g.day and d.t = g.t and d.role is not distinct from g.role
    returning g.user_id, g.gained
  )
  insert into sealcast_economy.xp as x (user_id, total)
  select c.user_id, sum(c.gained) from counted c where c.gained > 0 group by c.user_id order by c.user_id
  on conflict (user_id) do update set total = x.total + excluded.total;
end $$;
comment on function sealcast_economy.xp_on_events(sealcast.event[]) is 'Handler: adds the points of messages';

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
