-- The partitions of messages and stream_runs by UTC day: finding, making, indexing and dropping them.

-- The partitioned tables, with the partition key and the primary key of their partitions.
create function sealcast_internal.partitioned_tables(out parent regclass, out key text, out primary_key text) returns setof record
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  values ('sealcast.messages'::regclass, 'ts', 'ts, message_id'),
         ('sealcast.stream_runs'::regclass, 'logged_at', 'stream_id, "offset"');
end;

-- Returns the bounds of each partition of `parent` in Unix milliseconds, also of partitions that users attached. The
-- default partition has none.
create function sealcast_internal.partition_bounds(parent regclass, out partition regclass, out from_ms numeric, out to_ms numeric)
  returns setof record
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select i.inhrelid::regclass, replace(b.bounds[1], 'MINVALUE', '-Infinity')::numeric,
         replace(b.bounds[2], 'MAXVALUE', 'Infinity')::numeric
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                  '^FOR VALUES FROM [(]''?([^'')]+)''?[)] TO [(]''?([^'')]+)''?[)]$') b (bounds)
  where i.inhparent = parent;
end;

-- Returns the partitions by day that maintain() made of `parent`. Both name and bounds must be those of the day: a table
-- that has the name of a day may hold the messages of a month.
create function sealcast_internal.partitions(parent regclass, out partition regclass, out day date) returns setof record
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select b.partition, d.day
  from sealcast_internal.partition_bounds(parent) b
  join pg_class c on c.oid = b.partition
  join pg_class p on p.oid = parent
  cross join lateral (select date '1970-01-01' + (b.from_ms / 86400000)::integer as day
                      where b.to_ms - b.from_ms = 86400000 and b.from_ms % 86400000 = 0
                        and b.from_ms between 0 and 253402214400000 offset 0) d
  where c.relname = format('%s_%s', p.relname, to_char(d.day, 'YYYYMMDD')) order by 2;
end;

-- Makes the partition of one UTC day. Attaching a partition lets inserts go on; CREATE TABLE … PARTITION OF does not.
create function sealcast_internal.make_partition(parent regclass, key text, primary_key text, day date) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parent_name constant text := (select relname from pg_class where oid = parent);
  partition_name constant text := format('%s_%s', parent_name, to_char(day, 'YYYYMMDD'));
  starts constant bigint := extract(epoch from day)::bigint * 1000;
begin
  if exists (select from sealcast_internal.partition_bounds(parent) b
             where b.from_ms <= starts and b.to_ms >= starts + 86400000) then
    return false;
  end if;
  -- The partition has the primary key, not the parent. The parent comes with the extension: at restore, it would give
  -- its key to the partition before the script of pg_dump adds the dumped one.
  execute format('create table sealcast.%I (like %s including all, primary key (%s))', partition_name, parent, primary_key);
  -- Without a policy, the partition is closed to all roles. A read through the parent follows the policies of the
  -- parent alone.
  execute format('alter table sealcast.%I enable row level security', partition_name);
  perform sealcast_internal.revoke_grants(format('table sealcast.%I', partition_name), c.relacl, c.relowner)
  from pg_class c where c.oid = format('sealcast.%I', partition_name)::regclass;
  execute format('alter table sealcast.%I add constraint within_day check (%I >= %s and %I < %s)',
                 partition_name, key, starts, key, starts + 86400000);
  execute format('alter table %s attach partition sealcast.%I for values from (%s) to (%s)',
                 parent, partition_name, starts, starts + 86400000);
  execute format('alter table sealcast.%I drop constraint within_day', partition_name);
  return true;
end $$;

-- Makes the missing partitions of these days, at most 20 in one call.
create function sealcast_internal.make_partitions(first_day date, last_day date) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  made integer := 0;
  parent record;
  day date;
begin
  for day in select first_day + i from generate_series(0, last_day - first_day) i loop
    for parent in select * from sealcast_internal.partitioned_tables() loop
      object := format('%s_%s', parent.parent, to_char(day, 'YYYYMMDD'));
      begin
        continue when not sealcast_internal.make_partition(parent.parent, parent.key, parent.primary_key, day);
        action := 'created'; made := made + 1;
      exception
        when lock_not_available then
          action := 'postponed';
        -- A detached table has the name, a partition has a part of the day, or the default partition has rows of it.
        when duplicate_table or invalid_object_definition or check_violation then
          action := 'blocked';
          raise warning 'cannot make the partition %: %', object, sqlerrm
            using hint = 'Rename or drop the table in its way, or move the rows of the day out of the default partition.';
      end;
      return next;
      if made = 20 then
        action := 'unfinished';
        return next;
        return;
      end if;
    end loop;
  end loop;
end $$;

-- Adds the index that the relay reads to a partition that has no such index: one that a user made. Makes one index in a
-- call, because the partition may be large.
create function sealcast_internal.index_partitions() returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  lacking record;
begin
  for lacking in
    select i.inhrelid::regclass as partition, t.primary_key
    from sealcast_internal.partitioned_tables() t join pg_inherits i on i.inhparent = t.parent
    where not exists (select from pg_index x
                      where x.indrelid = i.inhrelid and x.indisvalid and x.indpred is null
                        -- From the catalogue alone: pg_get_indexdef() would wait for a locked table.
                        and (select string_agg(a.attname, ', ' order by k.place)
                             from unnest(x.indkey[0:1]) with ordinality k (number, place)
                             join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.number) = replace(t.primary_key, '"', ''))
  loop
    if action = 'indexed' then
      action := 'unfinished';
      return next;
      return;
    end if;
    object := lacking.partition::text;
    begin
      execute format('create unique index on %s (%s)', lacking.partition, lacking.primary_key);
      action := 'indexed';
    exception when lock_not_available then
      action := 'postponed';
    end;
    return next;
  end loop;
end $$;

-- Returns the partitions beyond retention, the offsets first.
create function sealcast_internal.expired_partitions(keep interval, out partition regclass, out has_offsets boolean) returns setof record
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select p.partition, true from sealcast_internal.partitions('sealcast.stream_runs') p where p.day < (now() - keep)::date
  union all
  select p.partition, false from sealcast_internal.partitions('sealcast.messages') p
  -- A message may be relayed on the day after it was sealed. So messages are kept a day longer than offsets.
  where p.day < (now() - keep)::date - 1
    -- A message that was never relayed is not dropped.
    and not exists (
      select from sealcast_internal.outbox o
      join (select l.shard, (sealcast_internal.relay_position(l.shard)).seen from sealcast_internal.relay_leases l) relayed using (shard)
      where o.ts < extract(epoch from p.day + 1) * 1000 and not pg_visible_in_snapshot(o.xid, relayed.seen));
end;

-- Drops one partition in a call, because a drop locks the parent against all other transactions until this one ends.
create function sealcast_internal.drop_partitions(keep interval) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  expired record;
begin
  for expired in select * from sealcast_internal.expired_partitions(keep) loop
    if action = 'dropped' then
      action := 'unfinished';
      return next;
      return;
    end if;
    object := expired.partition::text;
    begin
      -- Records the highest dropped offset: offsets are never given twice, and a reader must learn that a requested
      -- frame is gone.
      if expired.has_offsets then
        execute format('update sealcast.streams s set trimmed_through = l.last
          from (select stream_id, max("offset" + messages - 1) as last from %s group by stream_id) l
          where l.stream_id = s.stream_id and l.last > s.trimmed_through', expired.partition);
      else
        delete from sealcast.redactions r using sealcast_internal.partition_bounds('sealcast.messages') b
        where b.partition = expired.partition and r.ts >= b.from_ms and r.ts < b.to_ms;
        delete from sealcast.retained_messages r using sealcast_internal.partition_bounds('sealcast.messages') b
        where b.partition = expired.partition and r.ts >= b.from_ms and r.ts < b.to_ms;
      end if;
      execute format('drop table %s', expired.partition);
      action := 'dropped';
    exception when lock_not_available or dependent_objects_still_exist then
      action := 'postponed';
    end;
    return next;
  end loop;
end $$;
