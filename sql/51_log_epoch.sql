-- The epoch of the log ends when the history of the database is another one: after a failover, a point-in-time recovery,
-- or a crash that lost commits. Batches and offsets are then given again, to other messages.

-- Takes the cursors of transports back to what was relayed before the time (Unix ms).
create function sealcast_internal.take_back_cursors(relayed_before bigint) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update sealcast.deliveries d set batch = least(d.batch, coalesce(
    (select r.batch from sealcast_internal.relay_log r
     where r.shard = d.shard and r.logged_at < relayed_before order by r.batch desc limit 1),
    (select min(r.batch) - 1 from sealcast_internal.relay_log r where r.shard = d.shard), 0));
  update sealcast.delivery_lags g set next_offset = least(g.next_offset, 1 + coalesce(
    (select r."offset" + r.messages - 1 from sealcast.stream_runs r
     where r.stream_id = g.stream_id and r.logged_at < relayed_before order by r."offset" desc limit 1), 0));
end $$;

create function sealcast.begin_log_epoch(epoch text default left(gen_random_uuid()::text, 8)) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  again record;
  now_ms constant bigint := floor(extract(epoch from clock_timestamp()) * 1000);
begin
  update sealcast_internal.current_log l set epoch = begin_log_epoch.epoch, history = sealcast_internal.server_history();
  -- The lost commits may have had higher epochs of leases. An epoch is never above the time at which it began.
  perform from sealcast_internal.relay_leases l order by l.shard for update;
  update sealcast_internal.relay_leases l set epoch = greatest(l.epoch + 1, now_ms);
  update sealcast_internal.event_leases l set epoch = greatest(l.epoch + 1, now_ms);
  perform sealcast_internal.take_back_cursors(9223372036854775807);
  -- Workers may have acknowledged events whose effects are lost.
  select r.* into again from sealcast_internal.event_losses e cross join lateral sealcast_internal.rewind_events(e.losses) r;
  if not again.complete then
    raise warning 'the log of relay batches does not cover all events that may have lost their effects'
      using hint = format('Carry the events since %s again, with the command sealcastd replay.', again.since);
  end if;
  return epoch;
end $$;
comment on function sealcast.begin_log_epoch(text) is
  'Begins the given epoch, else a new one, and returns it. Readers then get a reset and read the streams again, and redis_events carries the newest events again. A sidecar calls it when this database has another history than before. Cells that share the streams need the same epoch';

-- Begins an epoch if this server runs on another timeline, or in another cluster, than at the beginning of the present
-- epoch: it was promoted or recovered, and may lack relayed messages. Each function that gives leases or records
-- progress calls this first. So on a new timeline, no statement under the epoch of an old lease has an effect.
create function sealcast_internal.follow_server() returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  here text;
  ended sealcast_internal.current_log;
begin
  if pg_is_in_recovery() then
    return;  -- the caller cannot write either
  end if;
  here := sealcast_internal.server_history();
  if not exists (select from sealcast_internal.current_log l where l.history <> here) then
    return;
  end if;
  -- Another sidecar may begin the epoch at the same time.
  select * into ended from sealcast_internal.current_log l where l.history <> here for update;
  if found then
    raise warning 'log epoch % ends, epoch % begins', ended.epoch, sealcast.begin_log_epoch()
      using detail = format('The history of this server was %s and is %s.', ended.history, here),
            hint = 'After a failover or a recovery, commits may be lost. Readers get a reset.';
  end if;
end $$;

-- Returns when the server last recovered. The crash of a backend restarts the checkpointer, but not the postmaster.
create function sealcast_internal.recovered_at() returns timestamptz
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce((select a.backend_start from pg_stat_get_activity(null) a where a.backend_type = 'checkpointer'),
                  pg_postmaster_start_time());
end;

-- Begins an epoch if this database lacks batches that the caller knows from `log_epoch`: the batches up to published and
-- newest, and the time of the batch newest.
create function sealcast_internal.check_log(log_epoch text, shards integer[], published bigint[], newest bigint[], logged_at bigint[])
  returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- On another timeline this begins an epoch: there, no progress was recorded that could be void.
  perform sealcast_internal.follow_server();
  if not exists (
    select from unnest(check_log.shards, check_log.published, check_log.newest, check_log.logged_at) c (shard, published, newest, logged_at)
    where greatest(c.published, c.newest) > (sealcast_internal.relay_position(c.shard::smallint)).batch
       or exists (select from sealcast_internal.relay_log r
                  where r.shard = c.shard and r.batch = c.newest and r.logged_at <> c.logged_at)) then
    return;
  end if;
  perform from sealcast_internal.current_log l where l.epoch = check_log.log_epoch for update;
  if found then
    -- Workers may have recorded progress since the server started, from effects that are lost.
    update sealcast_internal.event_leases l set finished_to = null;
    raise warning 'log epoch % ends, epoch % begins', check_log.log_epoch, sealcast.begin_log_epoch()
      using detail = 'A sidecar knows relay batches that this database lacks.',
            hint = 'A failover, a recovery or a crash lost commits. Readers get a reset.';
    -- The server lost the commits when it recovered. Another sidecar may have relayed other messages since then, and one
    -- that knows the lost batches may have recorded them as delivered. A second too much only repeats messages.
    perform sealcast_internal.take_back_cursors(
      floor(extract(epoch from sealcast_internal.recovered_at() - interval '1 s') * 1000)::bigint);
  end if;
end $$;
