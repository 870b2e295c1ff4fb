-- Trims the rows of txn_keys, effects, the moderation log, reports, logs and row_keys that are no longer needed, in bounded
-- steps.
--
-- No index on the age of a row leads to the old rows: each message would pay for a second B-tree, and the ranges of a
-- BRIN become wide as soon as new rows reuse the space of deleted ones (docs/decisions/0011-trimming-by-passes.md). So
-- maintain() passes over each table page by page.

-- The pass over each table: when it began, and where it goes on.
create table sealcast_internal.trim_passes (
  table_name text primary key,
  began_at timestamptz not null default clock_timestamp(),
  next_page bigint not null default 0
);

-- Moves the pass over a table on, by at most 1,000 pages, and returns these pages as a range of ctid. A pass is spread
-- over the time `lasts`. unfinished: the pass is late, so that this maintenance must move it on further.
create function sealcast_internal.next_pages(relation regclass, lasts interval, out low tid, out high tid, out unfinished boolean)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pages constant bigint := pg_relation_size(relation) / current_setting('block_size')::bigint;
  pass sealcast_internal.trim_passes;
  through bigint;
begin
  insert into sealcast_internal.trim_passes (table_name) values (relation::text) on conflict do nothing;
  select * into pass from sealcast_internal.trim_passes p where p.table_name = relation::text;
  -- VACUUM may have made the table shorter.
  pass.next_page := least(pass.next_page, pages);
  through := least(pass.next_page + 1000, pages);
  low := format('(%s,0)', pass.next_page)::tid;
  high := format('(%s,0)', through)::tid;
  unfinished := through < pages and clock_timestamp() > pass.began_at + lasts * (through::double precision / pages);
  update sealcast_internal.trim_passes p
  set next_page = case when through < pages then through else 0 end,
      began_at = case when through < pages then p.began_at else clock_timestamp() end
  where p.table_name = relation::text;
end $$;

create function sealcast_internal.trim_report(relation regclass, removed bigint, unfinished boolean) returns table (action text, object text)
  language sql immutable set search_path = pg_catalog, pg_temp
begin atomic
  select 'trimmed', format('%s rows of %s', removed, relation) where removed > 0
  union all
  select 'unfinished', null where unfinished;
end;

-- Deletes the rows `t` of the next pages for which the condition holds. The condition must not lead to an index: the
-- scan of the pages is the plan.
create function sealcast_internal.trim_pages(relation regclass, condition text, lasts interval) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_tidscan = on as $$
declare
  pages constant record := sealcast_internal.next_pages(relation, lasts);
  removed bigint;
begin
  execute format('delete from %s t where t.ctid >= %L and t.ctid < %L and (%s)', relation, pages.low, pages.high, condition);
  get diagnostics removed = row_count;
  return query select * from sealcast_internal.trim_report(relation, removed, pages.unfinished);
end $$;

-- A row of txn_keys, of event_effects, of the moderation log and of reports is kept for `keep`, and then at most for a pass and the time between two
-- maintenances longer.
create function sealcast_internal.pass_time(keep interval) returns interval
  language sql immutable set search_path = pg_catalog, pg_temp
  return least(keep, interval '1 day');

-- Trims the keys that distinguish a repeat from a new message.
create function sealcast_internal.trim_txn_keys(keep interval) returns table (action text, object text)
  language sql set search_path = pg_catalog, pg_temp
begin atomic
  select * from sealcast_internal.trim_pages('sealcast.txn_keys', format('t.ts < %s', extract(epoch from now() - keep)::bigint * 1000),
                                       sealcast_internal.pass_time(keep));
end;

-- Trims the effects that were applied longer ago than `keep`, and records up to which ts in effects_from.
create function sealcast_internal.trim_effects(keep interval) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_tidscan = on as $$
declare
  pages constant record := sealcast_internal.next_pages('sealcast.event_effects', sealcast_internal.pass_time(keep));
  removed bigint;
begin
  with gone as (
    delete from sealcast.event_effects e
    where e.ctid >= pages.low and e.ctid < pages.high and e.applied_at < now() - keep returning e.handler, e.ts
  ), newest as (
    select handler, max(ts) as ts, count(*) as effects from gone group by handler
  ), noted as (
    update sealcast.event_handlers h set effects_from = greatest(h.effects_from, n.ts + 1)
    from newest n where n.handler = h.name
  )
  select coalesce(sum(effects), 0) into removed from newest;
  return query select * from sealcast_internal.trim_report('sealcast.event_effects', removed, pages.unfinished);
end $$;

-- Returns the condition that a column is older than `keep`. The time is a number, because DateStyle would write and read
-- it differently. It is rounded down: the trigger of the moderation log refuses the deletion of a younger entry.
create function sealcast_internal.older_than(column_name text, keep interval) returns text
  language sql stable set search_path = pg_catalog, pg_temp
  return format('%s < to_timestamp(%s)', column_name, floor(extract(epoch from now() - keep)));

create function sealcast_internal.trim_moderation_log(keep interval) returns table (action text, object text)
  language sql set search_path = pg_catalog, pg_temp
begin atomic
  select * from sealcast_internal.trim_pages('sealcast.moderation_log', sealcast_internal.older_than('t.logged_at', keep),
                                       sealcast_internal.pass_time(keep));
end;

-- Trims the cases that were last reported longer ago than `keep`, with their reports.
create function sealcast_internal.trim_reports(keep interval) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_tidscan = on as $$
declare
  pages constant record := sealcast_internal.next_pages('sealcast.report_cases', sealcast_internal.pass_time(keep));
  removed bigint;
begin
  with gone as (
    delete from sealcast.report_cases c
    where c.ctid >= pages.low and c.ctid < pages.high and c.last_reported_at < now() - keep returning c.stream_id, c."offset"
  ), with_them as (
    delete from sealcast.reports r using gone g where r.stream_id = g.stream_id and r."offset" = g."offset"
  )
  select count(*) into removed from gone;
  return query select * from sealcast_internal.trim_report('sealcast.report_cases', removed, pages.unfinished);
end $$;

-- These batches stay: the newest batch of a shard, because it is its position; a batch that a transport has yet to
-- deliver, unless no sidecar has used the transport for a day; a batch that a group of workers has not finished, for at
-- most a day. Each maintenance passes over the whole log.
create function sealcast_internal.trim_logs() returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  -- Per shard, from shard 0.
  needed constant bigint[] := array(
    select least((sealcast_internal.relay_position(l.shard)).batch,
      (select min(d.batch) + 1 from sealcast.deliveries d
       where d.shard = l.shard and d.seen_at > now() - interval '1 day'))
    from sealcast_internal.relay_leases l order by l.shard);
  needed_since constant bigint := least(
    extract(epoch from now() - interval '1 hour')::bigint * 1000,
    (select greatest(min(coalesce(l.finished_to, 0)), extract(epoch from now() - interval '1 day')::bigint * 1000)
     from sealcast.event_handlers h left join sealcast_internal.event_leases l on l.group_name = h.group_name where h.active));
begin
  delete from sealcast_internal.relay_members m where m.seen_at < now() - interval '1 hour';
  delete from sealcast_internal.revocations r where r.due_at < now() - interval '1 hour';
  delete from sealcast_internal.user_notices n where n.noticed_at < now() - interval '1 hour';
  -- Kept as long as the messages that the events are about. The ids are ordered by time.
  delete from sealcast.webhook_events e
  where e.event_id < (select sealcast_internal.ordered_id(greatest(now() - r.keep, to_timestamp(0))) from sealcast_internal.current_retention() r);
  return query select * from sealcast_internal.trim_pages('sealcast_internal.relay_log',
    format('t.batch < (%L::bigint[])[t.shard + 1] and t.logged_at < %s', needed, needed_since), '0');
end $$;

-- The rows name messages, so they are kept as long as these.
create function sealcast_internal.trim_term_hits(keep interval) returns table (action text, object text)
  language sql set search_path = pg_catalog, pg_temp
begin atomic
  select * from sealcast_internal.trim_pages('sealcast.term_hits', sealcast_internal.older_than('t.at', keep),
                                       sealcast_internal.pass_time(keep));
end;

-- Trims the keys of dropped tables. While there is none, row_keys is not passed over: it can be as large as the tables
-- of users.
create function sealcast_internal.trim_row_keys() returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  -- One look into the index per table.
  gone constant bigint[] := array(
    with recursive tables as (
      (select k.table_id from sealcast_internal.row_keys k order by k.table_id limit 1)
      union all
      select (select k.table_id from sealcast_internal.row_keys k where k.table_id > t.table_id order by k.table_id limit 1)
      from tables t where t.table_id is not null)
    select t.table_id::oid::bigint from tables t
    where t.table_id is not null and not exists (select from pg_class c where c.oid = t.table_id));
begin
  if gone <> '{}' then
    return query select * from sealcast_internal.trim_pages('sealcast_internal.row_keys', format('t.table_id::oid::bigint = any (%L)', gone), '1 day');
  end if;
end $$;
