-- Leases of event partitions: which worker of a group reads which partition. Invariant: one worker at a time reads a
-- partition, and each of its statements names the epoch of the lease.

-- One row: how often Redis has lost the partitions, when the sidecars were last sent back to publish the events again,
-- and the number of partitions; null: no process has recorded it yet.
create table sealcast_internal.event_losses (
  losses bigint not null,
  rewound_at timestamptz not null,
  partitions integer check (partitions between 1 and 1024)
);
insert into sealcast_internal.event_losses values (0, '-infinity', null);
comment on table sealcast_internal.event_losses is
  'How often Redis lost the event partitions, when the sidecars were last sent back to fill them again, and how many partitions there are';

create table sealcast_internal.event_leases (
  group_name text not null,
  partition integer not null,
  holder text,
  -- Begins with the time, so that the epoch also grows when this database is created anew while Redis knows old epochs.
  epoch bigint not null default floor(extract(epoch from clock_timestamp()) * 1000),
  lease_until timestamptz not null default '-infinity',
  -- All events that were relayed before this time (Unix ms of stream_log) are finished; null: nothing is known yet.
  finished_to bigint,
  primary key (group_name, partition)
) with (fillfactor = 50);
comment on table sealcast_internal.event_leases is
  'Which worker reads a partition. The epoch grows with each new holder, so a frozen worker that wakes late changes nothing';

create table sealcast_internal.event_workers (
  group_name text not null,
  holder text not null,
  seen_at timestamptz not null,
  primary key (group_name, holder)
) with (fillfactor = 50);
comment on table sealcast_internal.event_workers is 'The workers that are alive. They share the partitions of their group';

-- Returns the number of event partitions. All sidecars and workers use this number. If there is none yet, the number
-- of the caller's settings is recorded.
create function sealcast_internal.event_partition_count(configured integer) returns integer
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  recorded integer := (select l.partitions from sealcast_internal.event_losses l);
begin
  if recorded is null then
    update sealcast_internal.event_losses l set partitions = coalesce(l.partitions, configured)
    returning l.partitions into strict recorded;
  end if;
  return recorded;
end $$;

-- Every sender may get another partition. So the events that a group has not finished are carried again, to the new
-- partitions. The old partitions still hold them, in the same order, and a second effect is impossible; therefore each
-- event is applied after the earlier events of its sender, from wherever it is read first.
create function sealcast.set_event_partitions(partitions integer) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  again record;
begin
  if (partitions between 1 and 1024) is not true then
    raise exception 'the number of event partitions must be from 1 to 1024, not %', coalesce(partitions::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Pass a number from 1 to 1024.';
  end if;
  -- The order in which begin_log_epoch() locks.
  perform from sealcast_internal.relay_leases l order by l.shard for update;
  if partitions = sealcast_internal.event_partition_count(partitions) then
    return;
  end if;
  -- A new partition has senders of all old partitions, so it is finished as far as the slowest of these. New epochs make
  -- the workers claim the new partitions.
  insert into sealcast_internal.event_leases as l (group_name, partition, finished_to)
  select k.group_name, n.partition, nullif(min(coalesce(k.finished_to, 0)), 0)
  from sealcast_internal.event_leases k cross join generate_series(0, set_event_partitions.partitions - 1) n (partition)
  group by k.group_name, n.partition
  on conflict on constraint event_leases_pkey do update set finished_to = excluded.finished_to, epoch = l.epoch + 1;
  update sealcast_internal.event_leases l set epoch = l.epoch + 1, lease_until = '-infinity'
  where l.partition >= set_event_partitions.partitions;
  select r.* into again from sealcast_internal.event_losses e cross join lateral sealcast_internal.rewind_events(e.losses) r;
  if again.since is not null and not again.complete then
    raise exception 'a group has not finished events of %, and the log of relay batches does not cover them any more', again.since
      using errcode = 'object_not_in_prerequisite_state',
            hint = 'Run workers of each group that has handlers. Try again when event_group_behind_seconds in sealcast.health is below 300.';
  end if;
  update sealcast_internal.event_losses l set partitions = set_event_partitions.partitions;
end $$;
comment on function sealcast.set_event_partitions(integer) is
  'Changes the number of event partitions, from 1 to 1024, while sidecars and workers run. The events that a group has not finished are carried again';

-- Renews the leases of the holder, up to its share, and takes partitions that are free or whose lease has expired. Each
-- worker calls it about every second. Returns all partitions; `configured` is for event_partition_count().
create function sealcast_internal.claim_partitions(group_name text, holder text, lease_ms integer, configured integer,
                                          out partition integer, out epoch bigint, out mine boolean)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  claimed constant text := claim_partitions.group_name;
  claimant constant text := claim_partitions.holder;
  until constant timestamptz := clock_timestamp() + make_interval(secs => lease_ms / 1000.0);
  partitions integer;
  share integer;
begin
  if (claimed <> '' and claimant <> '' and lease_ms between 100 and 600000 and configured between 1 and 1024) is not true then
    raise exception 'invalid group_name, holder, lease_ms or configured'
      using errcode = 'invalid_parameter_value',
            hint = 'Pass a group_name, a name as holder, a lease_ms of 100 to 600000, and 1 to 1024 partitions.';
  end if;
  perform sealcast_internal.follow_server();
  partitions := sealcast_internal.event_partition_count(configured);
  insert into sealcast_internal.event_workers as w (group_name, holder, seen_at) values (claimed, claimant, clock_timestamp())
  on conflict on constraint event_workers_pkey do update set seen_at = excluded.seen_at;
  delete from sealcast_internal.event_workers w where w.seen_at < clock_timestamp() - interval '1 hour';
  if (select count(*) from sealcast_internal.event_leases l where l.group_name = claimed and l.partition < partitions) < partitions then
    insert into sealcast_internal.event_leases (group_name, partition) select claimed, generate_series(0, partitions - 1)
    on conflict do nothing;
  end if;
  -- After a change of the number, a worker may still apply events of a former partition, so its row can be locked.
  delete from sealcast_internal.event_leases l using (
    select k.partition from sealcast_internal.event_leases k
    where k.group_name = claimed and k.partition >= partitions and k.lease_until < clock_timestamp()
    for update skip locked) former
  where l.group_name = claimed and l.partition = former.partition;
  select ceil(partitions::numeric / count(*)) into share from sealcast_internal.event_workers w
  where w.group_name = claimed and w.seen_at > clock_timestamp() - make_interval(secs => lease_ms / 1000.0);

  -- Renewing does not wait while the holder applies events: apply_events() locks the row FOR KEY SHARE, and only a new
  -- holder needs a lock that excludes it.
  with held as (
    select l.partition from sealcast_internal.event_leases l
    where l.group_name = claimed and l.partition < partitions and l.holder = claimant
    order by l.partition for no key update skip locked
  ), ranked as (
    select h.partition, row_number() over (order by h.partition) <= share as kept from held h
  )
  update sealcast_internal.event_leases l
  set holder = case when r.kept then claimant end, lease_until = case when r.kept then until else '-infinity' end
  from ranked r where l.group_name = claimed and l.partition = r.partition;
  with free as (
    select l.partition from sealcast_internal.event_leases l
    where l.group_name = claimed and l.partition < partitions and l.lease_until < clock_timestamp()
      and l.holder is distinct from claimant
    order by l.partition
    limit greatest(share - (select count(*) from sealcast_internal.event_leases k where k.group_name = claimed and k.holder = claimant), 0)
    for update skip locked
  )
  update sealcast_internal.event_leases l set epoch = l.epoch + 1, holder = claimant, lease_until = until
  from free f where l.group_name = claimed and l.partition = f.partition;

  -- A worker that froze while it received outcomes keeps its apply_events() open, and keeps the partition locked.
  -- Backends that wait for a worker to read cannot be distinguished here, so all of them are ended; their events are
  -- rolled back and retried.
  if exists (select from sealcast_internal.event_leases l
             where l.group_name = claimed and l.lease_until < clock_timestamp()) then
    perform pg_terminate_backend(k.pid)
    from pg_locks k cross join lateral pg_stat_get_activity(k.pid) a
    where k.relation = 'sealcast_internal.event_leases'::regclass and k.mode = 'RowShareLock'
      and k.database = (select d.oid from pg_database d where d.datname = current_database())
      and a.wait_event = 'ClientWrite';
  end if;
  return query
  select l.partition, l.epoch, l.holder is not distinct from claimant from sealcast_internal.event_leases l
  where l.group_name = claimed and l.partition < partitions order by l.partition;
end $$;

-- Raises the epochs of the holder's partitions above the epochs in Redis, unless another epoch has begun since. Redis
-- compares epochs as doubles; a consumer with a greater number as its name is not ours. Returns the raised partitions.
create function sealcast_internal.raise_partition_epochs(group_name text, holder text, partitions integer[], epochs bigint[], newer bigint[])
  returns setof integer
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  update sealcast_internal.event_leases l set epoch = r.newer + 1
  from unnest(partitions, epochs, newer) r (partition, epoch, newer)
  where l.group_name = raise_partition_epochs.group_name and l.holder = raise_partition_epochs.holder
    and l.partition = r.partition and l.epoch = r.epoch and r.newer >= l.epoch and r.newer < 9007199254740991
  returning l.partition;
end;

create function sealcast_internal.release_partitions(group_name text, holder text) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  update sealcast_internal.event_leases l set holder = null, lease_until = '-infinity'
  where l.group_name = release_partitions.group_name and l.holder = release_partitions.holder;
  delete from sealcast_internal.event_workers w
  where w.group_name = release_partitions.group_name and w.holder = release_partitions.holder;
end;


-- Returns the time (Unix ms of stream_log) before which all relayed messages are in the partitions of redis_events;
-- null: unknown. The time is at least a minute ago: by then every drain that was running has logged its messages. A
-- Redis that restarts from its disk lacks no more than this minute, or its newest entries show the loss.
create function sealcast_internal.events_carried_to() returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select min(least(carried.through, floor(extract(epoch from statement_timestamp()) * 1000)::bigint - 60000))
  from (
    select (select r.logged_at from sealcast_internal.relay_log r where r.shard = d.shard and r.batch > d.batch
            order by r.batch limit 1) as through
    from sealcast.deliveries d where d.transport = 'redis_events'
    union all
    select coalesce(l.logged_at, 0)
    from sealcast.delivery_lags g
    left join lateral (select l.logged_at from sealcast.stream_log l
                       where l.stream_id = g.stream_id and l."offset" = g.next_offset) l on true
    where g.transport = 'redis_events') carried;
end;

-- Records how far partitions are finished. A value never goes back. Nothing is recorded when Redis has lost the
-- partitions since the caller read `losses`. A locked partition is left out: the renewal of leases waits for the answer.
create function sealcast_internal.finish_partitions(group_name text, partitions integer[], epochs bigint[], finished bigint[],
                                           losses bigint)
  returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select sealcast_internal.follow_server();
  update sealcast_internal.event_leases l set finished_to = greatest(l.finished_to, f.finished)
  from unnest(partitions, epochs, finished) f (partition, epoch, finished)
  where l.group_name = finish_partitions.group_name and l.partition = f.partition and l.epoch = f.epoch
    and l.partition in (select k.partition from sealcast_internal.event_leases k
                        where k.group_name = finish_partitions.group_name and k.partition = any (finish_partitions.partitions)
                        order by k.partition for no key update skip locked)
    and exists (select from sealcast_internal.event_losses x where x.losses = finish_partitions.losses);
end;
