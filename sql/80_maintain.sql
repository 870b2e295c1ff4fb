-- maintain(): makes the partitions of the days ahead, drops what retention has passed, trims keys and logs.

-- Makes the partition of one UTC day. Attaching, unlike CREATE … PARTITION OF, lets inserts go on.
create function sealcast.make_partition(parent regclass, key text, day date) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  parent_name constant text := (select relname from pg_class where oid = parent);
  partition_name constant text := format('%s_%s', parent_name, to_char(day, 'YYYYMMDD'));
  from_ms constant bigint := extract(epoch from day)::bigint * 1000;
begin
  if to_regclass(format('sealcast.%I', partition_name)) is not null then
    return false;
  end if;
  execute format('create table sealcast.%I (like %s including all)', partition_name, parent);
  execute format('alter table sealcast.%I add constraint within_day check (%I >= %s and %I < %s)',
                 partition_name, key, from_ms, key, from_ms + 86400000);
  execute format('alter table %s attach partition sealcast.%I for values from (%s) to (%s)',
                 parent, partition_name, from_ms, from_ms + 86400000);
  execute format('alter table sealcast.%I drop constraint within_day', partition_name);
  return true;
end $$;

-- The day that a partition of `parent` holds, from its name.
create function sealcast.partitions(parent regclass, out partition regclass, out day date) returns setof record
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select i.inhrelid::regclass, to_date(right(c.relname, 8), 'YYYYMMDD')
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = parent order by 2;
end;

create function sealcast.maintain(keep interval default '30 days', keep_txn_ids interval default '7 days',
                                  days_ahead integer default 3)
  returns table (action text, object text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' set timezone = 'UTC' as $$
declare
  today constant date := current_date;
  day date;
  parent regclass;
  dropped record;
  removed bigint;
begin
  if keep < interval '1 day' or keep_txn_ids > keep or keep_txn_ids < interval '15 minutes' or days_ahead not between 1 and 365 then
    raise exception 'retention must keep 1 day or more, keep_txn_ids 15 minutes to keep, days_ahead 1 to 365'
      using errcode = 'invalid_parameter_value';
  end if;
  -- One at a time; a second caller has nothing left to do.
  if not pg_try_advisory_xact_lock(hashtextextended('sealcast.maintain', 0)) then
    return;
  end if;

  foreach parent in array array['sealcast.messages', 'sealcast.stream_log']::regclass[] loop
    -- From yesterday on: a clock that is stepped back must still find its day.
    for day in select (today + i) from generate_series(-1, days_ahead) i loop
      begin
        if sealcast.make_partition(parent, case parent when 'sealcast.messages'::regclass then 'ts' else 'logged_at' end, day) then
          action := 'created'; object := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
          return next;
        end if;
      exception when lock_not_available then
        action := 'postponed'; object := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        return next;
      end;
    end loop;

    for dropped in select * from sealcast.partitions(parent) p where p.day < (now() - keep)::date loop
      begin
        object := dropped.partition::text;
        if parent = 'sealcast.stream_log'::regclass then
          -- Offsets are never given twice, and a reader is told when what it wants is gone.
          execute format('update sealcast.streams s set trimmed_through = greatest(s.trimmed_through, l.last)
            from (select stream_id, max("offset") as last from %s group by stream_id) l where l.stream_id = s.stream_id',
            dropped.partition);
        end if;
        execute format('drop table %s', dropped.partition);
        action := 'dropped';
      exception when lock_not_available then
        action := 'postponed';
      end;
      return next;
    end loop;
  end loop;

  delete from sealcast.txn_keys where ts < extract(epoch from now() - keep_txn_ids)::bigint * 1000;
  get diagnostics removed = row_count;
  if removed > 0 then
    action := 'trimmed'; object := format('%s rows of sealcast.txn_keys', removed);
    return next;
  end if;

  -- A shard's newest batch is its position and stays.
  delete from sealcast.relay_log r
  where r.logged_at < extract(epoch from now() - interval '1 hour')::bigint * 1000
    and r.batch < (select max(n.batch) from sealcast.relay_log n where n.shard = r.shard);
  delete from sealcast.relay_members m where m.seen_at < now() - interval '1 hour';

  -- After a restore from a dump, which carries neither outbox nor positions: what has no offset is relayed now.
  if not exists (select from sealcast.relay_log) and not exists (select from sealcast.outbox) then
    insert into sealcast.outbox (xid, message_id, ts, stream_id, shard, segment)
    select pg_current_xact_id(), m.message_id, m.ts, m.stream_id, sealcast.shard_of(m.stream_id),
           (select last_value from sealcast.outbox_segment)
    from sealcast.messages m
    where not exists (select from sealcast.stream_log l where l.stream_id = m.stream_id and l.message_id = m.message_id);
    get diagnostics removed = row_count;
    if removed > 0 then
      perform sealcast.wake();
      action := 'queued'; object := format('%s messages', removed);
      return next;
    end if;
  end if;
end $$;
comment on function sealcast.maintain(interval, interval, integer) is
  'Run hourly (the sidecar does). A repeat of a txn_id is recognised for keep_txn_ids';
