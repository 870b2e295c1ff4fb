-- maintain(): makes the partitions of the days ahead, drops the partitions beyond retention, and trims keys and logs.

-- One row. Only the transaction that locks it does the maintenance. recovered: the messages that an earlier
-- installation had not relayed are queued.
create table sealcast.maintenance (recovered boolean not null default false);
insert into sealcast.maintenance default values;

-- Only the extension's owner may shorten retention: neither the sidecar nor sealcast_admin can make messages
-- disappear.
create table sealcast.retention (
  only_row boolean primary key default true check (only_row),
  keep interval not null default '30 days' check (keep >= interval '1 day'),
  keep_txn_ids interval not null default '7 days' check (keep_txn_ids >= interval '15 minutes'),
  days_ahead integer not null default 3 check (days_ahead between 1 and 365),
  check (keep_txn_ids <= keep)
);
comment on table sealcast.retention is
  'How long maintain() keeps messages and their offsets, how long it keeps txn_ids, and for how many days it makes partitions ahead';
insert into sealcast.retention default values;

-- A restored row replaces the row that CREATE EXTENSION made.
create function sealcast.replace_retention() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from sealcast.retention;
  return new;
end $$;
create trigger replace_retention before insert on sealcast.retention
  for each row execute function sealcast.replace_retention();

-- Returns the partitions by day that maintain() made of `parent`.
create function sealcast.partitions(parent regclass, out partition regclass, out day date) returns setof record
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select i.inhrelid::regclass, to_date(right(c.relname, 8), 'YYYYMMDD')
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = parent and c.relname ~ '_\d{8}$' order by 2;
end;

-- Makes the partition of one UTC day. Attaching a partition lets inserts go on; CREATE TABLE … PARTITION OF does not.
create function sealcast.make_partition(parent regclass, key text, primary_key text, day date) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parent_name constant text := (select relname from pg_class where oid = parent);
  partition_name constant text := format('%s_%s', parent_name, to_char(day, 'YYYYMMDD'));
  from_ms constant bigint := extract(epoch from day)::bigint * 1000;
begin
  if exists (select from sealcast.partitions(parent) p where p.day = make_partition.day) then
    return false;
  end if;
  -- The partition has the primary key, not the parent. The parent comes with the extension: at restore, it would give
  -- its key to the partition before the script of pg_dump adds the dumped one.
  execute format('create table sealcast.%I (like %s including all, primary key (%s))', partition_name, parent, primary_key);
  -- Without a policy, the partition is closed to all roles. A read through the parent follows the policies of the
  -- parent alone.
  execute format('alter table sealcast.%I enable row level security', partition_name);
  execute format('alter table sealcast.%I add constraint within_day check (%I >= %s and %I < %s)',
                 partition_name, key, from_ms, key, from_ms + 86400000);
  execute format('alter table %s attach partition sealcast.%I for values from (%s) to (%s)',
                 parent, partition_name, from_ms, from_ms + 86400000);
  execute format('alter table sealcast.%I drop constraint within_day', partition_name);
  return true;
end $$;

create function sealcast.make_partitions(first_day date, last_day date) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parent record;
  day date;
begin
  for parent in
    values ('sealcast.messages'::regclass, 'ts', 'ts, message_id'),
           ('sealcast.stream_runs'::regclass, 'logged_at', 'stream_id, "offset"')
  loop
    for day in select first_day + i from generate_series(0, last_day - first_day) i loop
      object := format('%s_%s', parent.column1, to_char(day, 'YYYYMMDD'));
      begin
        continue when not sealcast.make_partition(parent.column1, parent.column2, parent.column3, day);
        action := 'created';
      exception when lock_not_available then
        action := 'postponed';
      end;
      return next;
    end loop;
  end loop;
end $$;

-- Dropping a partition locks the parent against all other transactions until this one ends. So maintain() drops last,
-- and nothing slow comes after the first drop.
create function sealcast.drop_partitions(keep interval) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  last_day constant date := (now() - keep)::date;
  -- A message may be relayed on the day after it was sealed. So messages are kept a day longer than offsets.
  last_message_day constant date := last_day - 1;
  dropped record;
begin
  -- Records the highest dropped offset: offsets are never given twice, and a reader must learn that a requested frame
  -- is gone.
  for dropped in select * from sealcast.partitions('sealcast.stream_runs') p where p.day < last_day loop
    execute format('update sealcast.streams s set trimmed_through = l.last
      from (select stream_id, max("offset" + messages - 1) as last from %s group by stream_id) l
      where l.stream_id = s.stream_id and l.last > s.trimmed_through', dropped.partition);
  end loop;

  for dropped in
    select p.partition from sealcast.partitions('sealcast.stream_runs') p where p.day < last_day
    union all
    select p.partition from sealcast.partitions('sealcast.messages') p
    where p.day < last_message_day
      -- A message that was never relayed is not dropped.
      and not exists (
        select from sealcast.outbox o
        join (select l.shard, (sealcast.relay_position(l.shard)).seen from sealcast.relay_leases l) relayed using (shard)
        where o.ts < extract(epoch from p.day + 1) * 1000 and not pg_visible_in_snapshot(o.xid, relayed.seen))
  loop
    object := dropped.partition::text;
    begin
      execute format('drop table %s', dropped.partition);
      action := 'dropped';
    exception when lock_not_available or dependent_objects_still_exist then
      action := 'postponed';
    end;
    return next;
  end loop;
exception when lock_not_available then
  action := 'postponed'; object := 'dropping partitions';
  return next;
end $$;

-- Queues the messages of a restored dump that were not relayed, once after the restore. A dump has neither the outbox
-- nor the positions in it, because both name transactions of their cluster. A message without an offset was not
-- relayed.
create function sealcast.queue_unrelayed() returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  queued bigint;
begin
  if (select m.recovered from sealcast.maintenance m) then
    return;
  end if;
  object := 'messages without an offset';
  -- No message may get an offset, and no segment may be truncated, between reading the outbox and reading the log.
  lock table sealcast.relay_leases in exclusive mode;
  insert into sealcast.outbox (xid, first_id, messages, ts, stream_id, shard, segment)
  select pg_current_xact_id(), m.message_id, 1, m.ts, m.stream_id, sealcast.shard_of(m.stream_id),
         (select last_value from sealcast.outbox_segment)
  from sealcast.messages m
  where not exists (select from sealcast.stream_log l where l.stream_id = m.stream_id and l.message_id = m.message_id)
    and not exists (select from sealcast.outbox o
                    where o.stream_id = m.stream_id and m.message_id between o.first_id and o.first_id + o.messages - 1);
  get diagnostics queued = row_count;
  update sealcast.maintenance set recovered = true;
  -- The queued messages become visible now, but have old message_ids.
  update sealcast.relay_log set seen_id = 0, target_id = 0;
  if queued > 0 then
    perform sealcast.wake();
    action := 'queued'; object := format('%s %s', queued, object);
    return next;
  end if;
exception when lock_not_available then
  action := 'postponed';
  return next;
end $$;

-- Trims the keys that distinguish a repeat from a new message, and the effects that show which events were applied.
create function sealcast.trim_keys(keep interval) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  trimmed record;
  removed bigint;
begin
  delete from sealcast.txn_keys where ts < extract(epoch from now() - keep)::bigint * 1000;
  get diagnostics removed = row_count;
  for trimmed in values ('txn_keys', removed), ('event_effects', sealcast.trim_effects(keep)) loop
    continue when trimmed.column2 = 0;
    action := 'trimmed'; object := format('%s rows of sealcast.%s', trimmed.column2, trimmed.column1);
    return next;
  end loop;
exception when lock_not_available then
  action := 'postponed'; object := 'trimming sealcast.txn_keys and sealcast.event_effects';
  return next;
end $$;

create function sealcast.trim_logs() returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- These batches stay: the newest batch of a shard, because it is its position; a batch that a transport has yet to
  -- deliver, unless no sidecar has used the transport for a day; a batch that a group of workers has not
  -- finished, for at most a day.
  delete from sealcast.relay_log r
  using (
    select l.shard, least((sealcast.relay_position(l.shard)).batch,
      (select min(d.batch) + 1 from sealcast.deliveries d
       where d.shard = l.shard and d.seen_at > now() - interval '1 day')) as needed
    from sealcast.relay_leases l) p
  where r.shard = p.shard and r.batch < p.needed
    and r.logged_at < extract(epoch from now() - interval '1 hour')::bigint * 1000
    and r.logged_at < coalesce(
      (select greatest(min(coalesce(l.finished_to, 0)), extract(epoch from now() - interval '1 day')::bigint * 1000)
       from sealcast.event_handlers h left join sealcast.event_leases l on l.group_name = h.group_name where h.active),
      9223372036854775807);
  delete from sealcast.relay_members m where m.seen_at < now() - interval '1 hour';
  delete from sealcast.row_keys k where k.table_id = any (array(
    select gone.table_id from (select distinct table_id from sealcast.row_keys) gone
    where gone.table_id not in (select oid from pg_class)));
exception when lock_not_available then
  action := 'postponed'; object := 'trimming sealcast.relay_log';
  return next;
end $$;

create function sealcast.maintain() returns table (action text, object text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  -- Shorter than the lock_timeout of admission: a message that waits behind this lock does not time out.
  set lock_timeout = '50ms' set timezone = 'UTC' set jit = off as $$
declare
  retention sealcast.retention;
begin
  -- One caller at a time; a second caller has nothing left to do.
  perform from sealcast.maintenance for update skip locked;
  if not found then
    return;
  end if;
  select * into retention from sealcast.retention;
  if not found then
    raise exception 'sealcast.retention has no row' using errcode = 'object_not_in_prerequisite_state',
      detail = 'Without the row, maintain() does not know which messages it may drop.',
      hint = 'Run: insert into sealcast.retention default values.';
  end if;

  -- Begins with yesterday, so that a clock that is stepped back still finds its day.
  return query select * from sealcast.make_partitions(current_date - 1, current_date + retention.days_ahead);
  return query select * from sealcast.queue_unrelayed();

  return query select * from sealcast.trim_keys(retention.keep_txn_ids);
  return query select * from sealcast.trim_logs();
  return query select * from sealcast.drop_partitions(retention.keep);
end $$;
comment on function sealcast.maintain() is 'Makes and drops partitions, and trims keys and logs. Run it hourly (the sidecar does); sealcast.retention sets how long rows are kept';
