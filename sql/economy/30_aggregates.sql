-- Aggregates: messages per minute of each stream, and messages per user and day.

create table sealcast_economy.stream_minutes (
  stream_id uuid not null,
  minute timestamptz not null,
  messages bigint not null,
  primary key (stream_id, minute)
) with (fillfactor = 80);
comment on table sealcast_economy.stream_minutes is 'Messages of users in each minute of each stream. A minute without messages has no row';
create index stream_minutes_minute on sealcast_economy.stream_minutes using brin (minute);

create table sealcast_economy.chatters (
  stream_id uuid not null,
  day date not null,
  user_id uuid not null,
  messages bigint not null,
  primary key (stream_id, day, user_id)
) with (fillfactor = 80);
comment on table sealcast_economy.chatters is 'Messages of each user in each stream and UTC day';
create index chatters_day on sealcast_economy.chatters using brin (day);

-- A worker commits as soon as a batch is applied, so the rows that busy streams share are locked for a moment only. When an
-- event of a batch fails, they stay locked while the worker applies its events one by one.
create function sealcast_economy.aggregates_on_events(events sealcast.event[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into sealcast_economy.chatters as c (stream_id, day, user_id, messages)
  select e.stream_id, sealcast_economy.day_of(e.ts) as day, e.sender_id, count(*)
  from unnest(events) e where sealcast_economy.is_users(e.sender_id)
  group by e.stream_id, day, e.sender_id order by e.stream_id, day, e.sender_id
  on conflict (stream_id, day, user_id) do update set messages = c.messages + excluded.messages;
  insert into sealcast_economy.stream_minutes as m (stream_id, minute, messages)
  select e.stream_id, sealcast_economy.minute_of(e.ts) as minute, count(*)
  from unnest(events) e where sealcast_economy.is_users(e.sender_id)
  group by e.stream_id, minute order by e.stream_id, minute
  on conflict (stream_id, minute) do update set messages = m.messages + excluded.messages;
end $$;
comment on function sealcast_economy.aggregates_on_events(sealcast.event[]) is 'Handler: counts messages of any type';

create function sealcast_economy.require_reader(stream_id uuid) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not (sealcast_internal.is_admin() or sealcast.caller_can_read(stream_id)) then
    perform sealcast_internal.refuse(404, 'stream_not_found', format('stream %s does not exist', stream_id), null, 'Check stream_id.');
  end if;
end $$;

create function sealcast_economy.top_chatters(stream_id uuid, day date default null, max_rows integer default 10,
                                              out user_id uuid, out messages bigint)
  returns setof record
  language plpgsql stable rows 10 security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform sealcast_economy.require_reader(stream_id);
  if (max_rows between 1 and 1000) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid max_rows: %s', coalesce(max_rows::text, 'null')), null, 'Use 1 to 1000.');
  end if;
  return query
  select c.user_id, c.messages from sealcast_economy.chatters c
  where c.stream_id = top_chatters.stream_id
    and c.day = coalesce(top_chatters.day, (now() at time zone 'UTC')::date)
  order by c.messages desc, c.user_id limit max_rows;
end $$;
comment on function sealcast_economy.top_chatters(uuid, date, integer) is
  'Returns the users with the most messages in a stream on a UTC day (null: today). Only for callers who may read the stream';

create function sealcast_economy.messages_per_minute(stream_id uuid, since timestamptz, until timestamptz default null,
                                                     out minute timestamptz, out messages bigint)
  returns setof record
  language plpgsql stable rows 60 security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform sealcast_economy.require_reader(stream_id);
  if (coalesce(until, now()) - since <= interval '1 day') is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', 'since must be at most a day before until', null, 'Ask for at most one day.');
  end if;
  return query
  select m.minute, m.messages from sealcast_economy.stream_minutes m
  where m.stream_id = messages_per_minute.stream_id and m.minute >= date_trunc('minute', since)
    and m.minute < coalesce(until, now())
  order by m.minute;
end $$;
comment on function sealcast_economy.messages_per_minute(uuid, timestamptz, timestamptz) is
  'Returns the messages per minute of a stream, from the minute of `since` to before `until` (null: now), without minutes that have no message. Only for callers who may read the stream';

-- A call removes at most max_rows of each table, so it never runs long.
create function sealcast_economy.trim_aggregates(keep interval default '90 days', max_rows integer default 10000)
  returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  first_day constant date := (now() - keep)::date;
  -- An event that is not older than the kept effects may still be applied. It needs the points of its day, for the cap.
  first_xp_day constant date := least(first_day, (select (now() - r.keep_txn_ids)::date from sealcast.retention r));
  removed bigint;
  removed_days bigint;
begin
  if (keep >= interval '1 day' and max_rows between 1 and 1000000) is not true then
    raise exception 'invalid keep or max_rows' using errcode = 'invalid_parameter_value',
      hint = 'Pass a keep of at least 1 day, and a max_rows of 1 to 1000000.';
  end if;
  with gone as (
    delete from sealcast_economy.stream_minutes where ctid = any (array(
      select m.ctid from sealcast_economy.stream_minutes m where m.minute < first_day limit max_rows for update skip locked))
    returning 1)
  select count(*) into removed from gone;
  with gone as (
    delete from sealcast_economy.chatters where ctid = any (array(
      select c.ctid from sealcast_economy.chatters c where c.day < first_day limit max_rows for update skip locked))
    returning 1)
  select removed + count(*) into removed from gone;
  -- Users keep the points of the removed days.
  with gone as (
    delete from sealcast_economy.xp_days where ctid = any (array(
      select d.ctid from sealcast_economy.xp_days d where d.day < first_xp_day limit max_rows for update skip locked))
    returning user_id, points),
  kept as (
    update sealcast_economy.xp x set earlier = x.earlier + g.points
    from (select user_id, sum(points)::bigint as points from gone group by user_id) g where x.user_id = g.user_id)
  select count(*) into removed_days from gone;
  return removed + removed_days;
end $$;
comment on function sealcast_economy.trim_aggregates(interval, integer) is
  'Deletes counts and xp_days that are older than `keep`; users keep the points. Returns how many rows. Call it until it returns 0';
