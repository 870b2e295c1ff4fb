-- Retained messages: the state of a stream, which each late joiner gets first. It is the newest message of each retained
-- type and key. drain() maintains it, so that the newest is the one with the highest offset. Invariants: the state names
-- messages and has no content of them, so an erased message is in no state; only drain() and maintain() write it, so
-- the relay never waits for a user's transaction.

create table sealcast.retained_messages (
  stream_id uuid not null,
  t text not null,
  key text not null,
  "offset" bigint not null,
  public_prev bigint not null,
  ts bigint not null,
  message_id bigint not null,
  primary key (stream_id, t, key)
) with (fillfactor = 50);
comment on table sealcast.retained_messages is
  'For each stream, retained type and key the newest message. maintain() deletes a row together with the partition of its message';
comment on column sealcast.retained_messages.key is 'The SHA-256 of d.key; empty when d has no such member';
comment on column sealcast.retained_messages.public_prev is 'The offset of the message before it on the public channel';

-- Returns the key under which a message is retained: the SHA-256 of d.key, whose text is content; or an empty text when d has none. null: the message is not
-- retained, because d.key is no string of at most 64 bytes.
create function sealcast_internal.retained_key(d text) returns text
  language sql immutable parallel safe
begin atomic
  select case when k.value is null or k.value = 'null' then ''
              when jsonb_typeof(k.value) = 'string' and octet_length(k.value #>> '{}') <= 64
              then case k.value #>> '{}' when '' then '' else encode(sha256(convert_to(k.value #>> '{}', 'UTF8')), 'hex') end end
  from (select retained_key.d::jsonb -> 'key' as value) k;
end;

-- Makes these messages the state of their streams, where they have a key and content. drain() calls it with messages of
-- retained types and their new offsets. A stream keeps 32 keys per type; then the message with the lowest offset goes.
create function sealcast_internal.retain(stream_ids uuid[], offsets bigint[], public_prevs bigint[], ts bigint[], message_ids bigint[])
  returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  max_keys constant integer := 32;
  grown uuid[];
begin
  with newest as (
    select distinct on (m.stream_id, m.t, k.key)
           m.stream_id, m.t, k.key, n."offset", n.public_prev, m.ts, m.message_id
    from unnest(retain.stream_ids, offsets, public_prevs, retain.ts, message_ids) n (stream_id, "offset", public_prev, ts, message_id)
    join sealcast.messages m on m.ts = n.ts and m.message_id = n.message_id
    cross join lateral sealcast_internal.retained_key(m.d) k (key)
    where k.key is not null and m.d is not null
    order by m.stream_id, m.t, k.key, n."offset" desc
  ), written as (
    insert into sealcast.retained_messages as r (stream_id, t, key, "offset", public_prev, ts, message_id)
    select * from newest
    on conflict on constraint retained_messages_pkey do update
    set "offset" = excluded."offset", public_prev = excluded.public_prev, ts = excluded.ts, message_id = excluded.message_id
    returning r.stream_id, r.xmax = 0 as is_new
  )
  select array_agg(distinct w.stream_id) into grown from written w where w.is_new;
  -- A new message of a known key, for example each viewer count, makes no stream exceed the limit.
  if grown is null then
    return;
  end if;
  delete from sealcast.retained_messages r using (
    select a.stream_id, a.t, a.key, row_number() over (partition by a.stream_id, a.t order by a."offset" desc) as place
    from sealcast.retained_messages a
    where a.stream_id = any (grown)) old
  where old.place > max_keys and r.stream_id = old.stream_id and r.t = old.t and r.key = old.key;
end $$;
comment on function sealcast_internal.retain(uuid[], bigint[], bigint[], bigint[], bigint[]) is
  'Makes these messages the state of their streams. For drain()';

-- Returns the state of a stream, in no order: where the messages are, and the messages.
create function sealcast_internal.state_of(stream_id uuid, out t text, out "offset" bigint, out public_prev bigint,
                                  out message sealcast.messages)
  returns setof record
  language sql stable rows 10
begin atomic
  select r.t, r."offset", r.public_prev, m
  from sealcast.retained_messages r
  join sealcast.message_types y on y.t = r.t and y.retained
  join sealcast.messages m on m.ts = r.ts and m.message_id = r.message_id
  where r.stream_id = state_of.stream_id and m.d is not null;
end;

-- Returns whether late joiners do not get the message of this type that was sent at that time, although it still holds:
-- retention has dropped it, or it was redacted. A message is in the state only when it has its offset, so a new one is
-- not lost.
create function sealcast_internal.state_lost(stream_id uuid, t text, sent_at timestamptz) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- First, since the leaders ask about many streams at each tick.
  if sent_at > clock_timestamp() - interval '10 minutes' then
    return false;
  end if;
  return not exists (select from sealcast_internal.state_of(stream_id) s where s.t = state_lost.t);
end $$;
comment on function sealcast_internal.state_lost(uuid, text, timestamptz) is
  'Returns whether a message of the system that still holds is no longer in the state of its stream, so that it must be sent again';

-- Returns the retained messages of a stream, without a check of the caller, in order of offset. Each row has the newest
-- offset and the newest redaction of the stream, and the epoch of the log, of the same moment. A stream without retained
-- messages has one row with a null offset.
create function sealcast_internal.read_state(stream_id uuid,
                                    out "offset" bigint, out public_prev bigint, out envelope text,
                                    out last_offset bigint, out newest_redaction bigint, out log_epoch text)
  returns setof record
  language sql stable rows 10 security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
begin atomic
  select s."offset", s.public_prev, s.envelope, sealcast_internal.last_offset(read_state.stream_id),
         sealcast_internal.newest_redaction(read_state.stream_id),
         (select l.epoch from sealcast_internal.current_log l where l.history = sealcast_internal.server_history())
  from (select) one left join lateral (
    select n."offset", n.public_prev, sealcast.envelope(n.message) as envelope
    from sealcast_internal.state_of(read_state.stream_id) n) s on true
  order by s."offset";
end;
comment on function sealcast_internal.read_state(uuid) is
  'Returns the retained messages of a stream, and up to which offset they are the newest';

create function sealcast.stream_state(stream_id uuid, channel text default 'vip',
                                      out "offset" bigint, out prev bigint, out envelope json)
  returns setof record
  language plpgsql stable rows 10 security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform sealcast_internal.require_channel(channel);
  perform sealcast_internal.authorise_reading(stream_id);
  return query
  select s."offset", case channel when 'public' then s.public_prev else s."offset" - 1 end, s.envelope::json
  from sealcast_internal.read_state(stream_id) s where s."offset" is not null order by s."offset";
end $$;
comment on function sealcast.stream_state(uuid, text) is
  'Returns the retained messages of the stream in order of offset: the newest of each retained type and d.key. For whoever may read the stream. channel: public or vip, which decides prev alone';
