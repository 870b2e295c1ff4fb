-- Webhooks: events of moderation that the sidecar posts to the operator's backend (docs/webhooks.md). Each is queued in the
-- transaction of its act, so no act is missed, and none that was undone is posted. A row stays until the backend has accepted
-- the event. So a process that dies between a call and its record repeats the call, and loses nothing.

create table sealcast.webhook_events (
  -- Ordered by time, and the id of the call. For an act of moderation, the entry_id of the moderation log.
  event_id uuid primary key,
  type text not null,
  stream_id uuid not null,
  occurred_at timestamptz not null,
  data text not null,
  attempts integer not null default 0,
  due_at timestamptz not null default clock_timestamp(),
  reason text,
  failed_at timestamptz
);
-- The sidecar reads the oldest events of each stream.
create index on sealcast.webhook_events (stream_id, event_id) where failed_at is null;
create index on sealcast.webhook_events (event_id) where failed_at is null;
create index on sealcast.webhook_events (failed_at) where failed_at is not null;
comment on table sealcast.webhook_events is
  'The events that the webhook has not accepted yet. failed_at null: the sidecar posts the event at due_at or later; otherwise it is a dead letter, see replay_webhooks() and drop_webhooks()';
comment on column sealcast.webhook_events.stream_id is 'The nil UUID: the event concerns all streams';
comment on column sealcast.webhook_events.data is 'The member data of the call, as JSON';
comment on column sealcast.webhook_events.reason is 'Why the last call failed';

-- One row while a sidecar has a webhook: the setting webhooks.events. Without the row, nothing is queued.
create table sealcast_internal.webhook_subscription (
  one boolean primary key default true constraint only_one check (one),
  events text[] not null,
  seen_at timestamptz not null
);
comment on table sealcast_internal.webhook_subscription is
  'The events that are queued for the webhook. seen_at: when a sidecar last had a webhook, to the nearest minute';

-- The events: each type with the cause that makes it, which is an act of the moderation log, a message of the system or a
-- function. message.sent comes from the log of the streams (sidecar/src/transport/webhooks).
create function sealcast_internal.webhook_types(out type text, out cause text) returns setof record
  language sql immutable set search_path = pg_catalog, pg_temp
begin atomic
  values ('message.sent', null),
         ('message.redacted', 'message_redacted'),
         ('messages.purged', 'messages_purged'),
         ('message.reported', 'report_message'),
         ('report.resolved', 'resolve_report'),
         ('message.held', 'hold_message'),
         ('message.approved', 'approve_message'),
         ('message.denied', 'deny_message'),
         ('message.pinned', 'pin_message'),
         ('message.unpinned', 'unpin_message'),
         ('user.muted', 'mute'), ('user.muted', 'mute_changed'),
         ('user.unmuted', 'unmute'), ('user.unmuted', 'mute_deleted'),
         ('user.banned', 'ban'), ('user.banned', 'ban_changed'),
         ('user.unbanned', 'unban'), ('user.unbanned', 'ban_deleted'),
         ('role.changed', 'set_role'),
         ('stream.rules_changed', 'set_stream_rules'),
         ('stream.closed', 'close_stream'),
         ('stream.reopened', 'reopen_stream'),
         ('stream.visibility_changed', 'set_visibility'),
         ('stream.payee_changed', 'set_payee'),
         ('stream.deleted', 'delete_stream'),
         ('blocked_term.added', 'add_blocked_term'),
         ('blocked_term.changed', 'change_blocked_term'),
         ('blocked_term.removed', 'remove_blocked_term');
end;

-- Queues the event of this cause, if the webhook wants it. stream_id null: it concerns all streams.
create function sealcast_internal.queue_webhook(cause text, stream_id uuid, data json, event_id uuid default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  wanted text;
  moment constant timestamptz := clock_timestamp();
begin
  select t.type into wanted from sealcast_internal.webhook_subscription s
  join sealcast_internal.webhook_types() t on t.cause = queue_webhook.cause
  where t.type = any (s.events) or '*' = any (s.events);
  if found then
    insert into sealcast.webhook_events (event_id, type, stream_id, occurred_at, data)
    values (coalesce(event_id, sealcast_internal.ordered_id(moment)), wanted,
            coalesce(stream_id, '00000000-0000-0000-0000-000000000000'), moment, data::text);
  end if;
end $$;

-- The event of an entry of the moderation log.
create function sealcast_internal.queue_webhook_of(entry sealcast.moderation_log) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select sealcast_internal.queue_webhook(entry.act, entry.stream_id, json_build_object(
    'stream_id', entry.stream_id, 'user_id', entry.user_id, 'actor_id', entry.actor_id, 'actor_rank', entry.actor_rank,
    'reason', entry.reason, 'before', entry.before, 'after', entry.after), entry.entry_id);
end;

-- Takes the setting webhooks.events of a sidecar. Returns the names that are not events.
create function sealcast_internal.subscribe_webhook(events text[]) returns text[]
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into sealcast_internal.webhook_subscription as s (events, seen_at) values (subscribe_webhook.events, clock_timestamp())
  on conflict (one) do update set events = excluded.events, seen_at = excluded.seen_at
    where s.events <> excluded.events or s.seen_at < excluded.seen_at - interval '1 minute';
  return array(select name from unnest(subscribe_webhook.events) name
               where name <> '*' and name not in (select t.type from sealcast_internal.webhook_types() t));
end $$;
comment on function sealcast_internal.subscribe_webhook(text[]) is 'Records which events the webhook wants. Returns unknown names';

-- Returns the oldest events of the next streams after after_stream (null: from the first), for the streams of the given
-- shards whose oldest event is due. So a stream that waits for a retry holds back no other stream, and the streams take
-- turns. One index look-up per stream that has events: only the index on both columns gives the order of a range of streams,
-- so the planner cannot choose the primary key for its order, which would pass all events of other streams.
create function sealcast_internal.due_webhooks(shards integer[], after_stream uuid, max_streams integer, per_stream integer,
                                      out stream_id uuid, out event_id uuid, out attempts integer, out age_ms bigint,
                                      out body text)
  returns setof record
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  with recursive queued (stream_id) as (
    (select e.stream_id from sealcast.webhook_events e
     where e.failed_at is null and e.stream_id >= coalesce(after_stream, '00000000-0000-0000-0000-000000000000')
       and e.stream_id is distinct from after_stream
     order by e.stream_id limit 1)
    union all
    select (select e.stream_id from sealcast.webhook_events e
            where e.failed_at is null and e.stream_id > q.stream_id order by e.stream_id limit 1)
    from queued q where q.stream_id is not null
  ), due as (
    select q.stream_id from queued q
    where sealcast_internal.shard_of(q.stream_id) = any (shards)
      and (select e.due_at from sealcast.webhook_events e where e.failed_at is null and e.stream_id >= q.stream_id
             and e.stream_id <= q.stream_id
           order by e.stream_id, e.event_id limit 1) <= clock_timestamp()
    limit max_streams
  )
  select d.stream_id, e.event_id, e.attempts, floor(extract(epoch from clock_timestamp() - e.occurred_at) * 1000)::bigint,
         format('{"type":%s,"timestamp":"%s","data":%s}', to_json(e.type),
                to_char(e.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.data)
  from due d cross join lateral (
    select e.* from sealcast.webhook_events e
    where e.failed_at is null and e.stream_id >= d.stream_id and e.stream_id <= d.stream_id
    order by e.stream_id, e.event_id limit per_stream) e
  order by d.stream_id, e.event_id;
end $$;

create function sealcast_internal.end_webhooks(event_ids uuid[]) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from sealcast.webhook_events e where e.event_id = any (event_ids);
end;
comment on function sealcast_internal.end_webhooks(uuid[]) is 'Records that the webhook has accepted the events';

-- Records failed calls. attempts: how many calls the webhook has refused; the next one is due after the pause in
-- milliseconds; a pause of -1 makes the event a dead letter.
create function sealcast_internal.fail_webhooks(event_ids uuid[], reasons text[], attempts integer[], pauses_ms bigint[]) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  update sealcast.webhook_events e set
    attempts = f.attempts, reason = f.reason,
    due_at = clock_timestamp() + make_interval(secs => f.pause / 1000.0),
    failed_at = case when f.pause < 0 then clock_timestamp() end
  from unnest(event_ids, reasons, fail_webhooks.attempts, pauses_ms) f (event_id, reason, attempts, pause)
  where e.event_id = f.event_id and e.failed_at is null;
end;

create function sealcast.replay_webhooks(event_id uuid default null, stream_id uuid default null) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  marked bigint;
begin
  update sealcast.webhook_events e set failed_at = null, attempts = 0, due_at = clock_timestamp()
  where e.failed_at is not null and e.event_id = coalesce(replay_webhooks.event_id, e.event_id)
    and e.stream_id = coalesce(replay_webhooks.stream_id, e.stream_id);
  get diagnostics marked = row_count;
  return marked;
end $$;
comment on function sealcast.replay_webhooks(uuid, uuid) is
  'Queues dead letters of the webhook again: one event, those of a stream, or all. They are posted within seconds, before newer events of their stream. Returns how many';

create function sealcast.drop_webhooks(event_id uuid default null, stream_id uuid default null) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  dropped bigint;
begin
  delete from sealcast.webhook_events e
  where e.failed_at is not null and e.event_id = coalesce(drop_webhooks.event_id, e.event_id)
    and e.stream_id = coalesce(drop_webhooks.stream_id, e.stream_id);
  get diagnostics dropped = row_count;
  return dropped;
end $$;
comment on function sealcast.drop_webhooks(uuid, uuid) is
  'Deletes dead letters of the webhook: one event, those of a stream, or all. Returns how many';

create function sealcast.forget_webhooks() returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from sealcast_internal.webhook_subscription;
  delete from sealcast.webhook_events;
end;
comment on function sealcast.forget_webhooks() is
  'Deletes all events for the webhook and queues no more. Call it after [webhooks] was removed from the settings of all sidecars';
