-- Switching: moves the readers of a stream with many viewers to another transport and back, step by step. Each step is
-- one transaction of the shard's leader, so the next leader continues from the row of the stream (docs/switching.md).
--
--   step           standard ─▶ warming ─▶ joining ─▶ hot ─▶ leaving ─▶ cooling ─▶ standard
--   delivery_mode  standard    standard   hybrid     hot    hybrid     standard

create table sealcast.switching (
  stream_id uuid primary key,
  step text not null check (step in ('standard', 'warming', 'joining', 'hot', 'leaving', 'cooling')),
  since timestamptz not null,
  -- The mode that set_delivery_mode() asked for, whatever the number of viewers.
  forced text check (forced in ('standard', 'hybrid', 'hot')),
  forced_by uuid,
  -- The id of this warm-up: the txn_id of its transport_warmup, and the id in the calls of the webhook.
  warm_up uuid not null default gen_random_uuid(),
  warmed_at timestamptz not null default clock_timestamp(),
  -- The newest batch of the shard when the probe, and later the newest transport_migrate, was sent; null: not sent yet.
  probed_after bigint,
  -- When the webhook accepted the warm-up, or the end of the warm-up.
  notified_at timestamptz,
  -- Since when the viewers are fewer than the lower limit.
  calm_since timestamptz,
  -- When readers last got a transport_migrate; its txn_id; and the transport that it names.
  told_at timestamptz,
  told uuid,
  told_to text,
  -- How long the readers take for the move that began last: the spread and the overlap of its transport_migrate.
  moving_ms integer
) with (fillfactor = 50);
comment on table sealcast.switching is
  'Streams that are moving between transports, or that set_delivery_mode() holds in a mode. A stream without a row does neither';

create table sealcast.delivery_changes (
  change_id bigint generated always as identity primary key,
  stream_id uuid not null,
  changed_at timestamptz not null default clock_timestamp(),
  from_mode text not null,
  to_mode text not null,
  reason text not null check (reason in ('viewers', 'forced', 'update')),
  viewers integer,
  changed_by uuid
);
create index on sealcast.delivery_changes (stream_id, change_id);
comment on table sealcast.delivery_changes is
  'Every change of a stream''s delivery_mode. reason viewers: by the number of viewers; forced: by set_delivery_mode() of changed_by; update: by a plain UPDATE';

-- Returns which transports carry a stream. Both transports carry a warming stream before any reader moves.
create function sealcast_internal.delivery_modes(out stream_id uuid, out delivery_mode text) returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select s.stream_id, s.delivery_mode from sealcast.streams s where s.delivery_mode <> 'standard'
  union all
  select w.stream_id, 'hybrid' from sealcast.switching w join sealcast.streams s on s.stream_id = w.stream_id
  where w.step = 'warming' and s.delivery_mode = 'standard';
end;
comment on function sealcast_internal.delivery_modes() is 'Returns the streams that are not in mode standard, with the mode by which transports carry them';

-- Returns the newest count. A count without one of its sources may rise above a limit, but never counts as below a
-- limit.
create function sealcast_internal.viewers_of(stream_id uuid, out viewers integer, out complete boolean)
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(v.webrtc, 0) + coalesce(v.hls, 0), coalesce(v.complete, true)
  from (values (viewers_of.stream_id)) asked (stream_id)
  left join sealcast.viewer_counts v on v.stream_id = asked.stream_id;
end;

create function sealcast_internal.note_delivery_change() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into sealcast.delivery_changes (stream_id, from_mode, to_mode, reason, viewers, changed_by)
  select new.stream_id, old.delivery_mode, new.delivery_mode,
         case when w.forced is not null then 'forced' when w.stream_id is not null then 'viewers' else 'update' end,
         v.viewers, w.forced_by
  from sealcast_internal.viewers_of(new.stream_id) v left join sealcast.switching w on w.stream_id = new.stream_id;
  return null;
end $$;
create trigger note_delivery_change after update of delivery_mode on sealcast.streams
  for each row when (old.delivery_mode <> new.delivery_mode) execute function sealcast_internal.note_delivery_change();

-- Returns whether a transport has delivered a message of the system that was sent after `batch`, at the time `sent`. The
-- transport must have settled the batch that holds the message, the message must not be a dead letter, and if the stream
-- lags, its own cursor must be past the message. `sse` has no cursor: it reads the log itself.
create function sealcast_internal.delivered(stream_id uuid, txn_id uuid, batch bigint, sent timestamptz, transport text)
  returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select delivered.transport = 'sse' or exists (
    select from sealcast.txn_keys k
    join sealcast.stream_runs r on r.stream_id = delivered.stream_id
      and k.message_id >= r.first_id and k.message_id < r.first_id + r.messages
      and r.logged_at >= floor(extract(epoch from sent) * 1000)::bigint - 60000
    join sealcast_internal.relay_log b on b.shard = sealcast_internal.shard_of(delivered.stream_id) and b.batch > delivered.batch
      and b.logged_at = r.logged_at
    join sealcast.deliveries d on d.transport = delivered.transport and d.shard = b.shard and d.batch >= b.batch
    cross join lateral (select r."offset" + (k.message_id - r.first_id) as "offset") m
    where k.sender_id = '00000000-0000-0000-0000-000000000000' and k.txn_id = delivered.txn_id
      and not exists (select from sealcast.dead_letters f where f.transport = d.transport
                      and f.stream_id = r.stream_id and f."offset" = m."offset")
      and not exists (select from sealcast.delivery_lags f where f.transport = d.transport
                      and f.stream_id = r.stream_id and f.next_offset <= m."offset"));
end;

-- Returns whether the transport to which readers were sent last has delivered that transport_migrate.
create function sealcast_internal.destination_delivers(moving sealcast.switching) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
  return sealcast_internal.delivered((moving).stream_id, (moving).told, (moving).probed_after, (moving).told_at,
                                     (moving).told_to);

-- Returns the due actions for the streams of the caller's shards: one row per stream (action null: nothing to do), and
-- one more row with `notify` when the webhook is to be called; happened_at, in ISO 8601, is when that step began. target
-- null: there is no transport to switch to, so a forced mode is only set and no reader moves.
create function sealcast_internal.due_switches(shards integer[], epochs bigint[], target text, soft integer, hard integer,
                                      low integer, hold_ms integer, window_ms integer, webhook boolean,
                                      out stream_id uuid, out action text, out step text, out viewers integer,
                                      out warm_up uuid, out happened_at text)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  now constant timestamptz := clock_timestamp();
  led constant integer[] := array(select l.shard from sealcast_internal.led(shards, epochs) l);
  hold constant interval := make_interval(secs => hold_ms / 1000.0);
  least_window constant interval := make_interval(secs => window_ms / 1000.0);
  -- After one minute, stop waiting for a webhook that accepts nothing.
  given_up constant timestamptz := now - interval '1 minute';
  -- A message that its transport has not delivered is sent again only after this time. Until then readers stay where they
  -- are. The database may have been restored meanwhile, or the message trimmed.
  undelivered_before constant timestamptz := now - interval '10 minutes';
begin
  with changed as materialized (
    select s.stream_id
    from sealcast.switching s cross join lateral sealcast_internal.viewers_of(s.stream_id) v
    where s.step in ('warming', 'joining', 'hot') and sealcast_internal.shard_of(s.stream_id) = any (led)
      and (s.calm_since is null) = (v.viewers < low and v.complete)
  ), free as (
    select s.stream_id from sealcast.switching s join changed c using (stream_id) for update of s skip locked
  )
  update sealcast.switching w set calm_since = case when w.calm_since is null then now end
  from free where w.stream_id = free.stream_id;
  return query
  select d.*, case when d.action = 'notify' then
      to_char(case w.step when 'cooling' then w.since else w.warmed_at end at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end
  from (
  select v.stream_id, 'warm' as action, 'standard' as step, coalesce(v.webrtc, 0) + coalesce(v.hls, 0), null::uuid
  from sealcast.viewer_counts v join sealcast.streams s using (stream_id)
  where target is not null and coalesce(v.webrtc, 0) + coalesce(v.hls, 0) >= soft
    and s.delivery_mode = 'standard' and (s.closed_at <= now) is not true and sealcast_internal.shard_of(v.stream_id) = any (led)
    and not exists (select from sealcast.switching w where w.stream_id = v.stream_id)
  union all
  select w.stream_id, due.action, w.step, v.viewers, w.warm_up
  from sealcast.switching w join sealcast.streams s on s.stream_id = w.stream_id
  cross join lateral sealcast_internal.viewers_of(w.stream_id) v
  cross join lateral (values (
    (s.closed_at <= now) is not true and case when w.forced is null then v.viewers >= soft else w.forced <> 'standard' end,
    case when w.forced is null then v.viewers >= hard else w.forced <> 'standard' end,
    (s.closed_at <= now) is true
      or case when w.forced is null then coalesce(w.calm_since <= now - hold, false) else w.forced = 'standard' end
  )) wanted (warmth, heat, rest)
  -- The window lasts at least until all readers have moved.
  cross join lateral (values (w.since + greatest(least_window, make_interval(secs => w.moving_ms / 1000.0)))) moved (by)
  cross join lateral (values (
    moved.by <= now and (w.step = 'leaving' or w.step = 'joining' and w.forced is distinct from 'hybrid')
  )) told (ends_window)
  cross join lateral (
    select case
      when target is null and w.step not in ('joining', 'hot', 'leaving') then
        case when s.delivery_mode <> coalesce(w.forced, 'standard') or w.forced is null or w.step <> 'standard' then 'set' end
      when w.step = 'standard' then case when wanted.warmth then 'warm' when w.forced is null then 'rest' end
      when w.step = 'warming' then
        case when wanted.rest then 'cool' when w.probed_after is null then 'probe'
             -- probed_after is a batch of another cluster: the database was restored.
             when w.probed_after > (sealcast_internal.relay_position(sealcast_internal.shard_of(w.stream_id)::smallint)).batch then 'warm'
             when wanted.heat and sealcast_internal.delivered(w.stream_id, w.warm_up, w.probed_after, w.since, target) then 'join'
             -- The target did not deliver the probe, or its place in the log is trimmed: another probe is sent.
             when wanted.heat and w.since <= undelivered_before then 'warm' end
      when w.step in ('joining', 'hot', 'leaving') then
        -- Without a transport to switch to, readers go home. Late joiners would else be sent to the former target.
        case when w.step <> 'leaving' and (wanted.rest or target is null) then 'leave'
             when w.step = 'hot' and w.forced = 'hybrid' then 'mix'
             -- The settings name another target, or the stream was moved to this cell.
             when w.step <> 'leaving' and w.told_to <> target or w.told_at is null then 'tell'
             when told.ends_window and sealcast_internal.destination_delivers(w) then
               -- A message that was sent after the window shows that the transport delivers now.
               case when w.told_at < moved.by then 'tell' when w.step = 'joining' then 'heat' else 'cool' end
             when told.ends_window and w.told_at <= undelivered_before then 'tell'
             when sealcast_internal.state_lost(w.stream_id, 'transport_migrate', w.told_at) then 'tell' end
      when w.step = 'cooling' then
        case when wanted.warmth then 'warm'
             when not webhook or w.notified_at is not null or w.since <= given_up then 'rest' end
    end
    union all
    select 'notify' where webhook and w.notified_at is null and w.step in ('warming', 'joining', 'hot', 'cooling')) due (action)
  where sealcast_internal.shard_of(w.stream_id) = any (led)) d (stream_id, action, step, viewers, warm_up)
  left join sealcast.switching w using (stream_id)
  -- The most urgent first: readers who go back, steps that a person asked for, other steps, messages without a step.
  order by case when d.action = 'leave' then 0 when d.action = 'tell' then 3 when w.forced is not null then 1 else 2 end,
           w.since;
end $$;
comment on function sealcast_internal.due_switches(integer[], bigint[], text, integer, integer, integer, integer, integer, boolean) is
  'Returns the due steps of streams in the caller''s shards, the most urgent first. Take them with switch_streams(); call the webhook before notify';

-- Takes one step, if the stream is still in the state in which the step is due. `tell` is the d of the
-- transport_migrate that join, leave and the action tell send. Returns false when another sidecar has taken the step, or leads
-- the shard.
create function sealcast_internal.switch_stream(shards integer[], epochs bigint[], stream_id uuid, action text, warm_up uuid,
                                       tell text)
  returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  now constant timestamptz := clock_timestamp();
  stream constant uuid := switch_stream.stream_id;
  stream_shard constant integer := sealcast_internal.shard_of(stream);
  due_steps constant text[] := case switch_stream.action
    when 'warm' then '{standard,warming,cooling}' when 'probe' then '{warming}' when 'join' then '{warming}'
    when 'heat' then '{joining}' when 'mix' then '{hot}' when 'leave' then '{joining,hot}'
    when 'cool' then '{warming,leaving}' when 'rest' then '{standard,cooling}'
    when 'set' then '{standard,warming,joining,hot,leaving,cooling}'
    when 'tell' then '{joining,hot,leaving}' when 'notify' then '{warming,joining,hot,cooling}' end;
  next_step constant text := case switch_stream.action
    when 'warm' then 'warming' when 'join' then 'joining' when 'heat' then 'hot' when 'mix' then 'joining'
    when 'leave' then 'leaving' when 'cool' then 'cooling' when 'rest' then 'standard' when 'set' then 'standard' end;
  sent_type constant text := case
    when switch_stream.action = 'probe' then 'transport_warmup'
    when switch_stream.action in ('join', 'leave', 'tell') then 'transport_migrate' end;
  w sealcast.switching;
  sent constant uuid := case sent_type when 'transport_warmup' then switch_stream.warm_up when 'transport_migrate' then gen_random_uuid() end;
  sealed sealcast.verdict;
  repeated_spread_ms constant integer := 10000;
begin
  perform sealcast_internal.require_triggers();
  -- The order in which set_delivery_mode() locks.
  perform from sealcast.streams s where s.stream_id = stream for no key update;
  if not found or not exists (select from sealcast_internal.led(shards, epochs) l where l.shard = stream_shard) then
    return false;
  end if;
  select * into w from sealcast.switching s where s.stream_id = stream for update;
  if coalesce(w.step, 'standard') <> all (due_steps)
     or w.warm_up is distinct from switch_stream.warm_up
     or action = 'probe' and w.probed_after is not null or action = 'notify' and w.notified_at is not null then
    return false;
  end if;
  -- The readers have moved. The message is for those who come now, and need not wait as long as if all moved at once.
  if action = 'tell' and w.told_to = tell::json ->> 'target' and (tell::json ->> 'spread_ms')::integer > repeated_spread_ms
     and sealcast_internal.destination_delivers(w) then
    switch_stream.tell := jsonb_set(tell::jsonb, '{spread_ms}', to_jsonb(repeated_spread_ms))::text;
  end if;
  if action = 'warm' then
    insert into sealcast.switching as s (stream_id, step, since, warmed_at) values (stream, next_step, now, now)
    on conflict on constraint switching_pkey do update
      set step = next_step, since = now, warm_up = gen_random_uuid(), warmed_at = now, probed_after = null,
          notified_at = null, calm_since = null, told_at = null, told = null, told_to = null, moving_ms = null;
  else
    update sealcast.switching s set
      step = coalesce(next_step, s.step),
      since = case when next_step is null then s.since else now end,
      probed_after = case when sent is null then s.probed_after else (sealcast_internal.relay_position(stream_shard::smallint)).batch end,
      notified_at = case action when 'notify' then now when 'cool' then null else s.notified_at end,
      calm_since = case when action not in ('join', 'leave', 'cool') then s.calm_since end,
      told_at = case sent_type when 'transport_migrate' then now else s.told_at end,
      told = case sent_type when 'transport_migrate' then sent else s.told end,
      told_to = case sent_type when 'transport_migrate' then tell::json ->> 'target' else s.told_to end,
      moving_ms = case when action = 'mix' then null when action in ('join', 'leave')
        then coalesce((tell::json ->> 'spread_ms')::integer, 0) + coalesce((tell::json ->> 'overlap_ms')::integer, 0)
        else s.moving_ms end
    where s.stream_id = stream;
  end if;
  if sent_type is not null then
    select * into sealed from sealcast.admit(
      array[stream], array[sent_type], array[system_sender],
      array[sent],
      array[case sent_type when 'transport_warmup' then '{}' else tell end]);
    if sealed.status in (403, 404, 421) then
      -- The stream was closed before its probe, or is in another cell meanwhile: no reader moves.
      update sealcast.switching s
      set step = 'cooling', since = now, notified_at = null, forced = case when sealed.status = 403 then s.forced end
      where s.stream_id = stream;
    elsif sealed.status <> 200 then
      perform sealcast_internal.refuse(sealed.status, sealed.code, sealed.message, sealed.details, sealed.hint, sealed.retry_after_ms);
    end if;
  end if;
  update sealcast.streams s set delivery_mode = m.mode
  from (select case when action = 'set' then coalesce(w.forced, 'standard')
                    else case n.step when 'joining' then 'hybrid' when 'leaving' then 'hybrid' when 'hot' then 'hot'
                                     else 'standard' end end as mode
        from (select) o left join sealcast.switching n on n.stream_id = stream) m
  where s.stream_id = stream and s.delivery_mode <> m.mode;
  delete from sealcast.switching s where s.stream_id = stream and s.step = 'standard' and s.forced is null;
  return true;
end $$;
comment on function sealcast_internal.switch_stream(integer[], bigint[], uuid, text, uuid, text) is
  'Takes one step of due_switches(): changes the row and delivery_mode, adds the audit row, and sends the message to readers';

-- Takes the steps of many streams in one transaction. A step that Postgres refuses is undone alone. A stream that another
-- transaction has locked holds up the others for a moment only: all steps together wait 100 ms for locks.
create function sealcast_internal.switch_streams(shards integer[], epochs bigint[], stream_ids uuid[], actions text[],
                                        warm_ups uuid[], tells text[],
                                        out stream_id uuid, out taken boolean, out state text, out reason text)
  returns setof record
  language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
#variable_conflict use_column
declare
  due record;
  began timestamptz;
  patience interval := interval '100 ms';
begin
  for due in select d.* from unnest(stream_ids, actions, warm_ups, tells) with ordinality d (stream_id, action, warm_up, tell, n)
             order by d.n loop
    began := clock_timestamp();
    begin
      stream_id := due.stream_id;
      state := null;
      reason := null;
      taken := sealcast_internal.switch_stream(shards, epochs, due.stream_id, due.action, due.warm_up, due.tell);
    exception
      when lock_not_available then
        taken := false;
        state := sqlstate;
        reason := 'another transaction has locked the stream';
        patience := greatest(patience - (clock_timestamp() - began), interval '1 ms');
        perform set_config('lock_timeout', ceil(extract(epoch from patience) * 1000)::text, true);
      when others then
        taken := false;
        state := sqlstate;
        reason := sqlerrm;
    end;
    return next;
  end loop;
end $$;
comment on function sealcast_internal.switch_streams(integer[], bigint[], uuid[], text[], uuid[], text[]) is
  'Takes steps of due_switches() in one transaction, in the given order. Returns a row per step: whether it was taken, or the error of a refused step';

create function sealcast.set_delivery_mode(stream_id uuid, mode text) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.authorise_and_lock('control', stream_id);
  if mode not in ('standard', 'hybrid', 'hot') then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the delivery mode is invalid', left(mode, 64),
                            'Use standard, hybrid or hot, or null to let the number of viewers decide.');
  end if;
  perform from sealcast.streams s where s.stream_id = set_delivery_mode.stream_id for update;
  if not found then
    perform sealcast_internal.refuse(404, 'stream_not_found', format('stream %s does not exist', stream_id), null, 'Check stream_id.');
  elsif mode is null then
    -- The number of viewers decides from the current state on. A stream that was never moved needs no row.
    delete from sealcast.switching w where w.stream_id = set_delivery_mode.stream_id and w.step = 'standard'
      and not exists (select from sealcast.streams s where s.stream_id = w.stream_id and s.delivery_mode <> 'standard');
    update sealcast.switching w set forced = null, forced_by = sealcast.caller_id()
    where w.stream_id = set_delivery_mode.stream_id;
  else
    insert into sealcast.switching as w (stream_id, step, since, forced, forced_by)
    values (set_delivery_mode.stream_id, 'standard', clock_timestamp(), mode, sealcast.caller_id())
    on conflict on constraint switching_pkey do update set forced = excluded.forced, forced_by = excluded.forced_by;
  end if;
end $$;
comment on function sealcast.set_delivery_mode(uuid, text) is
  'Holds the stream in this mode, whatever the number of viewers; the leading sidecar moves the readers. null: the number of viewers decides again, from the current state on. For owners of the stream and sealcast_admin';
