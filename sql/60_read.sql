-- Reads: the history of a stream by offset, for users and for the sidecar, and the rows that the sidecar's caches hold.

-- Returns a page of the messages with after < offset < before (extension/relay/read_history.cpp), without a check of
-- the caller. With `after`, the page is the oldest of them, in ascending order; else the newest, in descending order. The
-- page ends at max_rows (1 to 10000) messages, or with the message that brings its envelopes to 1 MiB
-- (core/history_page.h). envelope null: the message is gone. public_prev: the offset of the message before it on the public channel;
-- null: the message is not there. redacted: the member of the frame; null: the message is not redacted. only_public: only the messages of the public channel.
create function sealcast_internal.read_history(stream_id uuid, after bigint, before bigint, max_rows integer,
                                      only_public boolean,
                                      out "offset" bigint, out prev bigint, out envelope text, out public_prev bigint,
                                      out redacted text)
  returns setof record
  language c stable rows 50 security definer set search_path = pg_catalog, pg_temp as 'MODULE_PATHNAME', 'sealcast_read_history';

create function sealcast.history(stream_id uuid, after bigint default null, before bigint default null,
                                 "limit" integer default 50, channel text default 'vip',
                                 out "offset" bigint, out prev bigint, out envelope json, out redacted json)
  returns setof record
  language plpgsql stable rows 50 security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform sealcast_internal.require_page_limit(history."limit");
  perform sealcast_internal.require_channel(channel);
  perform sealcast_internal.authorise_reading(stream_id);
  return query
  select h."offset", case channel when 'public' then h.public_prev else h.prev end, h.envelope::json, h.redacted::json
  from sealcast_internal.read_history(stream_id, after, before, history."limit", channel = 'public') h
  order by h."offset";
end $$;
comment on function sealcast.history(uuid, bigint, bigint, integer, text) is
  'Returns sealed messages in order of offset: from after + 1 on, else the last `limit` messages (before `before`). channel: public, or vip for all messages. prev: the offset of the message before it on the channel. envelope null: the message is gone. redacted: who redacted the message, when (Unix ms) and why; null: it is not redacted. A page ends early with the message that brings it to 1 MiB';

-- The rights of many readers in one statement. The sidecar asks again every few seconds for its open event streams.
create function sealcast_internal.reader_access(stream_ids uuid[], user_ids uuid[],
                                       out item integer, out found boolean, out readable boolean, out vip boolean,
                                       out banned boolean)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select i.n::integer, s.visibility is not null,
         coalesce(sealcast_internal.allows(case s.visibility when 'public' then 'read' when 'private' then 'read_private' end,
                                           s.role, s.restriction), false),
         coalesce(sealcast_internal.allows('read_vip', s.role, s.restriction), false), coalesce(s.visibility is not null and s.restriction = 'ban', false)
  from unnest(stream_ids, user_ids) with ordinality i (stream_id, user_id, n)
  cross join lateral sealcast_internal.standing(i.stream_id, nullif(i.user_id, '00000000-0000-0000-0000-000000000000')) s
  order by i.n;
end;
comment on function sealcast_internal.reader_access(uuid[], uuid[]) is
  'Returns, for each pair, whether the stream exists, whether the user (null or nil: no user) may read it, may read its vip channel, and is banned from it';

-- Returns the message_id of the message that announces the newest redaction of the stream; 0: there is none.
create function sealcast_internal.newest_redaction(stream_id uuid) returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce((select r.event_id from sealcast.redactions r where r.stream_id = newest_redaction.stream_id
                   order by r.redacted_at desc, r.event_id desc limit 1), 0);
end;

-- Returns the offset of the message that announces the newest redaction of the stream; 0: there is none, or it is no
-- longer kept. While it has no offset yet, the function returns the highest one: no sidecar knows the redaction. It
-- searches the log, so a sidecar asks once for each redaction, and not for each reader.
create function sealcast_internal.redacted_offset(stream_id uuid) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  day constant bigint := 86400000;
  newest record;
  oldest bigint;
begin
  select r.redacted_at, r.event_id into newest from sealcast.redactions r
  where r.stream_id = redacted_offset.stream_id order by r.redacted_at desc, r.event_id desc limit 1;
  if not found then
    return 0;
  end if;
  -- The log is kept for some hours less than the redactions.
  select r.logged_at into oldest from sealcast.stream_runs r
  where r.stream_id = redacted_offset.stream_id order by r."offset" limit 1;
  if oldest > newest.redacted_at + day then
    return 0;
  end if;
  return coalesce(sealcast_internal.offset_of(stream_id, newest.redacted_at, newest.event_id), 9007199254740991);
end $$;
comment on function sealcast_internal.redacted_offset(uuid) is
  'Returns up to which offset frames that were relayed before may hold redacted content';

create function sealcast_internal.stream_access(stream_id uuid, user_id uuid,
                                       out found boolean, out readable boolean, out vip boolean, out visibility text,
                                       out first_offset bigint, out last_offset bigint, out ban text,
                                       out log_epoch text, out newest_redaction bigint, out noticed boolean)
  returns record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select s.visibility is not null,
         coalesce(sealcast_internal.allows(case s.visibility when 'public' then 'read' when 'private' then 'read_private' end,
                                  s.role, s.restriction), false),
         sealcast_internal.allows('read_vip', s.role, s.restriction), s.visibility,
         (select r.trimmed_through from sealcast.streams r where r.stream_id = stream_access.stream_id) + 1,
         case when s.visibility is not null then sealcast_internal.last_offset(stream_access.stream_id) end,
         case when s.restriction = 'ban' then coalesce(s.details, '') end,
         (select l.epoch from sealcast_internal.current_log l where l.history = sealcast_internal.server_history()),
         sealcast_internal.newest_redaction(stream_access.stream_id),
         sealcast_internal.has_notices(stream_access.user_id, s.restriction)
  from sealcast_internal.standing(stream_access.stream_id, stream_access.user_id) s;
end;
comment on function sealcast_internal.stream_access(uuid, uuid) is
  'Returns whether the stream exists, whether the user (null: no user) may read it and its vip channel, and the oldest and newest offsets that are kept. ban: the end of a ban of the user as text, empty when it has no end; null: the user is not banned. log_epoch: the epoch in which the offsets are valid; null: this server has another history, and no sidecar has begun its epoch yet. newest_redaction: names the newest redaction; 0: there is none. noticed: notices_of() may have notices for the user';

create function sealcast_internal.gate_limits(out t text, out max_bytes integer, out rate integer, out role_rates jsonb,
                                     out system_only boolean, out tier smallint)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select y.t, y.max_bytes, y.rate, y.role_rates, y.system_only, y.tier from sealcast.message_types y order by y.t;
end;

create function sealcast_internal.roles_of(stream_ids uuid[], user_ids uuid[], out item integer, out role text)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select i.n::integer, (select r.role from sealcast.stream_roles r where r.stream_id = i.stream_id and r.user_id = i.user_id)
  from unnest(stream_ids, user_ids) with ordinality i (stream_id, user_id, n) order by i.n;
end;
