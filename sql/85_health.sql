-- Health: what an operator must know about the database (the view sealcast.health), and what the sidecar asks every
-- second. No function here reads a whole table of messages or keys, waits for a lock longer than 100 ms, or writes.

-- Returns how many days after today have a partition of `parent` without a gap; -1: no partition takes a row of now;
-- Infinity: there is a DEFAULT partition, or one without an end.
create function sealcast_internal.partitions_ahead(parent regclass) returns numeric
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select case when bool_or(b.from_ms is null) then 'Infinity' else coalesce((
      select greatest(floor((upper(r.days) - (floor(clock.now_ms / 86400000) + 1) * 86400000) / 86400000), 0)
      from unnest(range_agg(numrange(b.from_ms, b.to_ms))) r (days) where r.days @> clock.now_ms), -1) end
  from (select floor(extract(epoch from clock_timestamp()) * 1000) as now_ms) clock
  left join (
    select b.from_ms, b.to_ms from sealcast_internal.partition_bounds(partitions_ahead.parent) b
    join pg_inherits i on i.inhrelid = b.partition and not i.inhdetachpending) b on b.from_ms is null or b.from_ms < b.to_ms
  group by clock.now_ms;
end;

-- Returns rows of the outbox of a shard that became visible after the snapshot `seen`, and have message_ids beyond
-- after_id: up to max_rows of each transaction that was running then, and the first max_rows of the others. These are
-- the index ranges of drain() (extension/relay/outbox.cpp). shard + 0 keeps the planner off the index on shard where a
-- transaction is looked up.
create function sealcast_internal.arrived_after(shard smallint, seen pg_snapshot, seen_xid xid8, seen_id bigint,
                                                after_id bigint, max_rows integer,
                                                out first_id bigint, out messages integer, out ts bigint)
  returns setof record
  language plpgsql stable set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  select o.first_id, o.messages, o.ts from pg_snapshot_xip(arrived_after.seen) running (xid)
  cross join lateral (
    select * from sealcast_internal.outbox o
    where o.xid = running.xid and o.first_id > arrived_after.after_id and o.shard + 0 = arrived_after.shard
    order by o.first_id limit arrived_after.max_rows) o
  union all
  (select o.first_id, o.messages, o.ts from sealcast_internal.outbox o
   where o.xid between pg_snapshot_xmax(arrived_after.seen) and arrived_after.seen_xid
     and o.first_id > arrived_after.after_id and o.shard + 0 = arrived_after.shard
   limit arrived_after.max_rows)
  union all
  (select o.first_id, o.messages, o.ts from sealcast_internal.outbox o
   where o.shard = arrived_after.shard and o.first_id > greatest(arrived_after.seen_id, arrived_after.after_id)
     and o.xid > arrived_after.seen_xid and o.xid >= pg_snapshot_xmax(arrived_after.seen)
   order by o.first_id limit arrived_after.max_rows);
end $$;

-- Returns what is committed and not relayed of each shard: the oldest ts, and the rows and messages. It counts about
-- max_rows rows and no more.
create function sealcast_internal.relay_backlog(max_rows integer, out shard smallint, out oldest_ts bigint,
                                                out rows bigint, out messages bigint)
  returns setof record
  language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  p sealcast_internal.relay_log;
begin
  for p in
    select position.* from sealcast_internal.relay_leases l cross join lateral sealcast_internal.relay_position(l.shard) position
  loop
    shard := p.shard;
    -- Within a window, the messages that `target` sees are relayed up to after_id.
    select min(o.ts), count(*), coalesce(sum(o.messages), 0) into oldest_ts, rows, messages
    from (
      select * from sealcast_internal.arrived_after(p.shard, coalesce(p.target, p.seen), coalesce(p.target_xid, p.seen_xid),
                                                    coalesce(p.target_id, p.seen_id), 0, max_rows)
      union
      select * from sealcast_internal.arrived_after(p.shard, p.seen, p.seen_xid, p.seen_id, p.after_id, max_rows)
      where p.target is not null) o;
    return next;
  end loop;
end $$;

-- Returns the seconds between a time in Unix milliseconds and now; 0 for a time ahead.
create function sealcast_internal.seconds_since(unix_ms numeric) returns numeric
  language sql stable strict set search_path = pg_catalog, pg_temp
  return greatest(round(extract(epoch from clock_timestamp()) - unix_ms / 1000, 3), 0);

-- For the sidecar, every second. relay_lag_ms: the age of the oldest message that is committed and not relayed, 0 if
-- there is none. missing_partitions: the parents that have no partition for rows of now; null: unknown, because a
-- partition is locked.
create function sealcast_internal.readiness(out relay_lag_ms bigint, out missing_partitions text, out read_only boolean)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  set lock_timeout = '100ms' set jit = off as $$
begin
  select coalesce(max(sealcast_internal.seconds_since(b.oldest_ts)) * 1000, 0) into relay_lag_ms
  from sealcast_internal.relay_backlog(1) b;
  read_only := current_setting('transaction_read_only')::boolean;
  select coalesce(string_agg(parent::text, ', '), '') into missing_partitions
  from unnest('{sealcast.messages,sealcast.stream_runs}'::regclass[]) parent
  where sealcast_internal.partitions_ahead(parent) < 0;
exception when lock_not_available then
  -- The lag is null too if its tables are locked.
  null;
end $$;
comment on function sealcast_internal.readiness() is 'Returns what the sidecar shows in /readyz and in its lag metric';

-- A row of sealcast.health. ok: false if an operator should act; null if the value is unknown.
create type sealcast_internal.health_check as (name text, subject text, value numeric, ok boolean, detail text);

create function sealcast_internal.partitions_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select 'partitions_ahead_days', parent.name, ahead.days, ahead.days >= 1,
         case when ahead.days < 0 then 'no partition takes a row of now' when ahead.days < 1 then 'there is no partition for tomorrow' end
         || ': run select * from sealcast.maintain()'
  from (values ('messages', 'sealcast.messages'::regclass), ('stream_runs', 'sealcast.stream_runs')) parent (name, id)
  cross join lateral (select sealcast_internal.partitions_ahead(parent.id) as days) ahead;
end;

create function sealcast_internal.relay_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  with shards as materialized (
    -- A shard with this many rows or more is not counted further.
    select b.*, p.batch, nullif(p.logged_at, 0) as logged_at, l.holder, l.backend, nullif(l.lease_until, '-infinity') as lease_until,
           sealcast_internal.seconds_since(b.oldest_ts) as lag
    from sealcast_internal.relay_backlog(10000) b
    join sealcast_internal.relay_leases l on l.shard = b.shard
    cross join lateral sealcast_internal.relay_position(b.shard) p)
  select c.name, s.shard::text, c.value, c.ok, c.detail
  from shards s
  cross join lateral (values
    (1, 'relay_lag_seconds', coalesce(s.lag, 0), coalesce(s.lag, 0) < 5,
     case when s.lag >= 5 then coalesce(s.holder || ' leads the shard', 'no sidecar leads the shard') end),
    (2, 'relay_unrelayed_messages', s.messages, true,
     case when s.rows >= 10000 then 'at least; counted ' || s.rows || ' rows of the outbox' end),
    (3, 'relay_position_age_seconds', sealcast_internal.seconds_since(s.logged_at), true, 'batch ' || s.batch),
    (4, 'relay_lease_seconds', round(extract(epoch from s.lease_until - clock_timestamp()), 3),
     coalesce(s.holder is not null and s.lease_until > clock_timestamp(), false),
     coalesce(s.holder || ', pid ' || s.backend, 'no sidecar leads the shard'))) c (place, name, value, ok, detail)
  order by c.place, s.shard;
end;

create function sealcast_internal.outbox_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  with segments (id) as (
    values ('sealcast_internal.outbox'::regclass), ('sealcast_internal.outbox_0'), ('sealcast_internal.outbox_1'), ('sealcast_internal.outbox_2')
  ), oldest as (
    -- A transaction that has a lock on a segment keeps it from being truncated. A prepared transaction has no process.
    select coalesce(a.xact_start, x.prepared) as began,
           coalesce('pid ' || k.pid || ', application_name ' || quote_literal(a.application_name) || ', ' || a.state,
                    'prepared transaction ' || quote_literal(x.gid)) as who
    from pg_locks k
    left join lateral pg_stat_get_activity(k.pid) a on k.pid is not null
    left join pg_prepared_xacts x on k.pid is null and x.transaction::text = split_part(k.virtualtransaction, '/', 2)
    where k.relation in (select s.id from segments s) and k.granted and k.pid is distinct from pg_backend_pid()
      and k.database = (select d.oid from pg_database d where d.datname = current_database())
    order by 1 limit 1)
  select 'outbox_bytes', null, size.bytes, size.bytes < 268435456,
         case when size.bytes >= 268435456 then 'see outbox_held_seconds and relay_lag_seconds' end
  from (select sum(pg_total_relation_size(s.id)) as bytes from segments s) size
  union all
  select 'outbox_held_seconds', null, coalesce(round(extract(epoch from clock_timestamp() - o.began), 3), 0),
         o.began is null or o.began > clock_timestamp() - interval '1 minute', o.who
  from (values (1)) one left join oldest o on true;
end;

-- A sample of about 200 pages shows how many keys there are, and how old the oldest is. A smaller table is read whole.
create function sealcast_internal.keys_health() returns setof sealcast_internal.health_check
  language plpgsql stable set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  pages constant bigint := pg_relation_size('sealcast.txn_keys') / current_setting('block_size')::bigint;
  percent constant real := least(100, 20000.0 / greatest(pages, 1));
  keep constant interval := (select r.keep_txn_ids from sealcast_internal.current_retention() r);
  sampled record;
begin
  select count(*) as keys, count(distinct (k.ctid::text::point)[0]) as pages, sealcast_internal.seconds_since(min(k.ts)) as oldest
    into sampled
  from sealcast.txn_keys k tablesample system (percent);
  return next ('txn_keys_kept', null,
               case when percent = 100 then sampled.keys else round(sampled.keys::numeric / greatest(sampled.pages, 1) * pages) end,
               true, case when percent < 100 then 'estimate from ' || sampled.pages || ' of ' || pages || ' pages' end
              )::sealcast_internal.health_check;
  return next ('txn_keys_oldest_seconds', null, sampled.oldest,
               coalesce(sampled.oldest < extract(epoch from keep + interval '1 day'), true), 'keep_txn_ids is ' || keep
              )::sealcast_internal.health_check;
end $$;

create function sealcast_internal.maintain_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  -- Without a sidecar, maintain() runs once a day.
  select 'maintain_age_seconds', null, round(extract(epoch from clock_timestamp() - m.finished_at), 3),
         coalesce(m.finished_at > clock_timestamp() - interval '26 hours', false),
         case when m.finished_at is null then 'maintain() has never finished' end
  from sealcast_internal.maintenance m;
end;

create function sealcast_internal.sidecars_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select 'sidecars', null, count(*), count(*) > 0, string_agg(m.holder, ', ' order by m.holder)
  from sealcast_internal.relay_members m where m.seen_at > clock_timestamp() - interval '10 s'
  union all
  select 'read_only', null, r.read_only::integer, not r.read_only,
         case when r.read_only then case when pg_is_in_recovery() then 'this server is a standby' else 'default_transaction_read_only is on' end end
  from (select current_setting('transaction_read_only')::boolean as read_only) r;
end;

create function sealcast_internal.deliveries_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  with uncarried as materialized (select u.transport, u.shards from sealcast_internal.uncarried() u),
  transports as materialized (
    select d.transport, max(d.seen_at) as seen_at,
           sealcast_internal.seconds_since(min((
             select r.logged_at from sealcast_internal.relay_log r where r.shard = d.shard and r.batch > d.batch
             order by r.batch limit 1))) as behind
    from sealcast.deliveries d group by d.transport
    -- A transport without a cursor: its sidecar has never led a shard.
    union all
    select u.transport, null, 0 from uncarried u where not exists (select from sealcast.deliveries d where d.transport = u.transport))
  select c.name, t.transport, c.value, c.ok, c.detail
  from transports t
  left join uncarried u on u.transport = t.transport
  cross join lateral (values
    (1, 'delivery_behind_seconds', coalesce(t.behind, 0), coalesce(t.behind, 0) < 10,
     case when t.seen_at < clock_timestamp() - interval '1 minute'
          then 'no sidecar has used the transport since ' || date_trunc('second', t.seen_at) || '; if it was removed, run sealcast.forget_transport()' end),
    (2, 'delivery_lagging_streams',
     (select count(*) from (select from sealcast.delivery_lags g where g.transport = t.transport limit 10000) g), null, null),
    (3, 'dead_letters',
     (select count(*) from (select from sealcast.dead_letters l where l.transport = t.transport limit 10000) l), null, null),
    (4, 'delivery_uncarried_shards', coalesce(cardinality(u.shards), 0), null,
     'no sidecar delivers the shards ' || array_to_string(u.shards, ', ')
       || '; turn the transport on, or if it was removed, run sealcast.forget_transport()')
  ) v (place, name, value, ok, detail)
  cross join lateral (select v.place, v.name, v.value, coalesce(v.ok, v.value = 0) as ok,
                             case when v.value = 10000 and v.place > 1 then 'at least' else v.detail end as detail) c
  order by c.place, t.transport;
end;

create function sealcast_internal.events_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  -- finished_to follows the present by one to two minutes (events_carried_to()).
  select 'event_group_behind_seconds', g.name, l.behind, coalesce(l.behind < 300, false),
         case when not exists (select from sealcast_internal.event_workers w
                               where w.group_name = g.name and w.seen_at > clock_timestamp() - interval '2 minutes')
                then format('no worker runs; run sealcastd worker --group %s, or unregister the handlers of the group', g.name)
              when l.behind is null then 'no worker has finished an event yet' end
  from sealcast_internal.event_groups() g (name)
  left join lateral (
    select sealcast_internal.seconds_since(min(l.finished_to)) as behind from sealcast_internal.event_leases l
    where l.group_name = g.name) l on true
  union all
  select 'event_waiting_seconds', null, coalesce(w.seconds, 0), coalesce(w.seconds < 300, true), w.detail
  from (select) x left join lateral (
    select extract(epoch from clock_timestamp() - a.waits_since)::numeric as seconds, format('%s: %s', a.handler, a.reason) as detail
    from (select a.* from sealcast.event_attempts a join sealcast.event_handlers h on h.name = a.handler and h.active
          where a.due_at is not null limit 10000) a
    order by a.waits_since limit 1) w on true
  union all
  select 'event_dead_letters', null, count(*), count(*) = 0, case when count(*) = 10000 then 'at least' end
  from (select from sealcast.event_dead_letters limit 10000) l;
end;

create function sealcast_internal.webhooks_health() returns setof sealcast_internal.health_check
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select 'webhook_waiting_seconds', null, coalesce(w.seconds, 0), coalesce(w.seconds < 60, true),
         case when w.seconds >= 60 then coalesce(w.reason, 'no sidecar that leads the shard of the stream has a webhook') end
  from (select) x left join lateral (
    select sealcast_internal.seconds_since(extract(epoch from e.occurred_at) * 1000) as seconds, e.reason
    from sealcast.webhook_events e where e.failed_at is null order by e.event_id limit 1) w on true
  union all
  select 'webhook_dead_letters', null, count(*), count(*) = 0, case when count(*) = 10000 then 'at least' end
  from (select from sealcast.webhook_events e where e.failed_at is not null limit 10000) l;
end;

-- Returns the rows of sealcast.health. A section whose tables are locked becomes one row without a value.
create function sealcast_internal.health() returns setof sealcast_internal.health_check
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  set lock_timeout = '100ms' set jit = off as $$
declare
  section text;
begin
  foreach section in array '{sidecars,partitions,relay,outbox,txn_keys,maintain,deliveries,events,webhooks}'::text[] loop
    begin
      case section
        when 'sidecars' then return query select * from sealcast_internal.sidecars_health();
        when 'partitions' then return query select * from sealcast_internal.partitions_health();
        when 'relay' then return query select * from sealcast_internal.relay_health();
        when 'outbox' then return query select * from sealcast_internal.outbox_health();
        when 'txn_keys' then return query select * from sealcast_internal.keys_health();
        when 'maintain' then return query select * from sealcast_internal.maintain_health();
        when 'deliveries' then return query select * from sealcast_internal.deliveries_health();
        when 'events' then return query select * from sealcast_internal.events_health();
        when 'webhooks' then return query select * from sealcast_internal.webhooks_health();
      end case;
    exception when lock_not_available then
      return next (section, null, null, null, 'unknown: another transaction holds a lock on a table')::sealcast_internal.health_check;
    end;
  end loop;
end $$;

create view sealcast.health with (security_invoker) as select * from sealcast_internal.health();
comment on view sealcast.health is
  'One row per check of the database. The name ends with the unit of the value; ok is false if an operator should act, and null if the value is unknown. See docs/operations.md';
