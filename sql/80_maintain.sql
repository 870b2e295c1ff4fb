-- maintain(): retention, and the steps in which the partitions of the days ahead are made, partitions beyond retention
-- are dropped, and keys and logs are trimmed.

-- One row. Only the transaction that locks it does maintenance.
create table sealcast_internal.maintenance (
  -- The messages that an earlier installation had not relayed are queued.
  recovered boolean not null default false,
  -- The maintenance in progress, or the last one: when it began, and the step at which the next call goes on; 0: with a
  -- new maintenance.
  began_at timestamptz,
  next_step integer not null default 0,
  -- When the last complete maintenance ended.
  finished_at timestamptz
);
insert into sealcast_internal.maintenance default values;

-- Only the extension's owner may shorten retention: neither the sidecar nor sealcast_admin can make messages
-- disappear. There is no unique key: a restored row stands beside the row that maintain() has added, and the longer
-- times apply.
create table sealcast.retention (
  keep interval not null default '30 days' constraint keep_at_least_1_day check (keep >= interval '1 day'),
  keep_txn_ids interval not null default '7 days' constraint keep_txn_ids_at_least_15_minutes check (keep_txn_ids >= interval '15 minutes'),
  days_ahead integer not null default 3 constraint days_ahead_from_1_to_365 check (days_ahead between 1 and 365),
  keep_moderation_log interval not null default '365 days'
    constraint keep_moderation_log_at_least_1_day check (keep_moderation_log >= interval '1 day'),
  -- Six months, the time for complaints about decisions of moderators in Article 20 of the EU's Digital Services Act.
  keep_reports interval not null default '184 days' constraint keep_reports_at_least_1_day check (keep_reports >= interval '1 day'),
  keep_held interval not null default '3 days' constraint keep_held_at_least_1_minute check (keep_held >= interval '1 minute'),
  constraint keep_txn_ids_not_above_keep check (keep_txn_ids <= keep)
);
comment on table sealcast.retention is
  'How long maintain() keeps messages and their offsets, txn_ids, the moderation log, reported messages after the last report, and held messages without a decision, and for how many days it makes partitions ahead. The longest times of all rows apply';
create trigger require_defaults before update or delete on sealcast.retention
  for each statement execute function sealcast_internal.require_defaults();

-- Returns the times that apply, all null without a row.
create function sealcast_internal.current_retention(out keep interval, out keep_txn_ids interval, out days_ahead integer,
                                           out keep_moderation_log interval, out keep_reports interval,
                                           out keep_held interval)
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select max(r.keep), max(r.keep_txn_ids), max(r.days_ahead), max(r.keep_moderation_log), max(r.keep_reports),
         max(r.keep_held)
  from sealcast.retention r;
end;

create function sealcast.add_defaults() returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.add_built_in_types();
  if not exists (select from sealcast.retention) then
    insert into sealcast.retention default values;
  end if;
end $$;
comment on function sealcast.add_defaults() is
  'Adds the built-in message types and the default retention, where they are missing. maintain() calls the function in a new database. Call it yourself only after pg_restore --schema-only, when no data will follow';

-- Queues the messages of a restored dump that were not relayed, once after the restore. A dump has neither the outbox
-- nor the positions in it, because both name transactions of their cluster. A message without an offset was not
-- relayed. This step is not divided: the messages of all partitions get their offsets in the order of their ids.
create function sealcast_internal.queue_unrelayed() returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  queued bigint;
begin
  if (select m.recovered from sealcast_internal.maintenance m) then
    return;
  end if;
  object := 'messages without an offset';
  -- No message may get an offset, and no segment may be truncated, between reading the outbox and reading the log.
  lock table sealcast_internal.relay_leases in exclusive mode;
  insert into sealcast_internal.outbox (xid, first_id, messages, ts, stream_id, shard, segment)
  select pg_current_xact_id(), m.message_id, 1, m.ts, m.stream_id, sealcast_internal.shard_of(m.stream_id),
         (select last_value from sealcast_internal.outbox_segment)
  from sealcast.messages m
  where not exists (select from sealcast.stream_log l where l.stream_id = m.stream_id and l.message_id = m.message_id)
    and not exists (select from sealcast_internal.outbox o
                    where o.stream_id = m.stream_id and m.message_id between o.first_id and o.first_id + o.messages - 1);
  get diagnostics queued = row_count;
  update sealcast_internal.maintenance set recovered = true;
  -- The queued messages become visible now, but have old message_ids.
  update sealcast_internal.relay_log set seen_id = 0, target_id = 0;
  if queued > 0 then
    perform sealcast_internal.wake();
    action := 'queued'; object := format('%s %s', queued, object);
    return next;
  end if;
end $$;

-- Does one step of maintenance. action unfinished: the step must be called again.
create function sealcast_internal.maintenance_step(step integer) returns table (action text, object text)
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  retention constant record := sealcast_internal.current_retention();
begin
  case step
    -- Begins with yesterday, so that a clock that is stepped back still finds its day.
    when 0 then return query select * from sealcast_internal.make_partitions(current_date - 1, current_date + coalesce(retention.days_ahead, 3));
    when 1 then return query select * from sealcast_internal.index_partitions();
    when 2 then return query select * from sealcast_internal.queue_unrelayed();
    when 3 then return query select * from sealcast.repair_row_triggers();
    when 4 then return query select * from sealcast_internal.trim_txn_keys(retention.keep_txn_ids);
    when 5 then return query select * from sealcast_internal.trim_effects(retention.keep_txn_ids);
    when 6 then return query select * from sealcast_internal.trim_logs();
    when 7 then return query select * from sealcast_internal.trim_row_keys();
    when 8 then return query select * from sealcast_internal.trim_moderation_log(retention.keep_moderation_log);
    when 9 then return query select * from sealcast_internal.trim_reports(retention.keep_reports);
    when 10 then return query select * from sealcast_internal.trim_term_hits(retention.keep);
    when 11 then return query select * from sealcast_internal.trim_held(retention.keep_txn_ids);
    when 12 then return query select * from sealcast_internal.drop_partitions(retention.keep);
  end case;
exception when lock_not_available then
  action := 'postponed';
  object := (array['making partitions', 'indexing partitions', 'messages without an offset', 'internal triggers',
                   'trimming sealcast.txn_keys', 'trimming sealcast.event_effects',
                   'trimming sealcast_internal.relay_log', 'trimming sealcast_internal.row_keys',
                   'trimming sealcast.moderation_log', 'trimming sealcast.report_cases',
                   'trimming sealcast.term_hits', 'trimming sealcast.held_messages', 'dropping partitions'])[step + 1];
  return next;
end $$;

-- A call ends after the first step that has changed something. So an error or a timeout undoes one step, never the
-- partitions, and locks are held for the time of one step.
create function sealcast.maintain() returns table (action text, object text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  -- Shorter than the lock_timeout of admission: a message that waits behind this lock does not time out.
  set lock_timeout = '50ms' set timezone = 'UTC' set jit = off as $$
declare
  last_step constant integer := 12;
  state sealcast_internal.maintenance;
  restoring boolean;
  step integer;
  changed boolean;
  unfinished boolean;
begin
  -- One caller at a time; a second caller has nothing left to do.
  select m.* into state from sealcast_internal.maintenance m for update skip locked;
  if not found then
    return;
  end if;
  if exists (select from sealcast.added_types) then
    perform sealcast_internal.add_built_in_types();
  elsif not exists (select from sealcast_internal.partitions('sealcast.messages')) then
    perform sealcast.add_defaults();
  end if;
  -- A dump whose data is not restored yet: nothing may be dropped, and the restored messages are queued later.
  restoring := not exists (select from sealcast.retention) or not exists (select from sealcast.added_types);
  begin
    if not restoring and not state.recovered and not exists (select from sealcast.messages) then
      update sealcast_internal.maintenance set recovered = true;
    end if;
  exception when lock_not_available then
    null;  -- a partition is locked; the step after the partitions looks again
  end;

  -- A maintenance that was given up, or in which a step fails again and again, begins anew with the partitions.
  step := case when not restoring and state.began_at > clock_timestamp() - interval '1 hour' then state.next_step else 0 end;
  if step = 0 then
    state.began_at := clock_timestamp();
  end if;
  loop
    changed := false; unfinished := false;
    for action, object in
      select s.action, s.object from sealcast_internal.maintenance_step(step) s
    loop
      if action = 'unfinished' then
        unfinished := true;
      else
        changed := changed or action not in ('postponed', 'blocked', 'failed');
        return next;
      end if;
    end loop;
    exit when restoring or unfinished;
    step := step + 1;
    exit when changed or step > last_step;
  end loop;

  if restoring then
    raise warning 'sealcast.maintain() only makes partitions: sealcast.retention or sealcast.added_types has no row'
      using detail = 'Without these rows, maintain() does not know which messages it may drop.',
            hint = 'Restore the data of the dump. If there is none, run as the owner of the extension: select sealcast.add_defaults().';
  elsif step > last_step then
    update sealcast_internal.maintenance m set began_at = state.began_at, next_step = 0, finished_at = clock_timestamp();
  else
    unfinished := true;
    update sealcast_internal.maintenance m set began_at = state.began_at, next_step = step;
  end if;
  if unfinished then
    action := 'unfinished'; object := 'call sealcast.maintain() again';
    return next;
  end if;
end $$;
comment on function sealcast.maintain() is
  'Does the next steps of maintenance: makes and drops partitions, and trims keys and logs. The action unfinished means: call again. Call it hourly until it finishes (the sidecar does); sealcast.retention sets how long rows are kept';

-- Neither SECURITY DEFINER nor a search_path of its own, because such a procedure cannot commit. So every name in it has
-- its schema.
create procedure sealcast.run_maintenance()
  language plpgsql as $$
declare
  done record;
  unfinished boolean;
begin
  loop
    unfinished := false;
    for done in select m.action, m.object from sealcast.maintain() m loop
      if done.action operator(pg_catalog.=) 'unfinished' then
        unfinished := true;
      else
        raise notice '% %', done.action, done.object;
      end if;
    end loop;
    commit;
    exit when not unfinished;
  end loop;
end $$;
comment on procedure sealcast.run_maintenance() is
  'Calls maintain() until it finishes, and commits after each call. For pg_cron and psql, where no sidecar and no background worker does maintenance';

-- Returns whether maintenance has been begun in this database before, and has not ended within this time. The
-- background worker asks (extension/maintenance). In a database that is being restored, nothing has begun.
create function sealcast_internal.maintenance_due(since interval) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(m.finished_at, m.began_at) < now() - since from sealcast_internal.maintenance m;
end;
