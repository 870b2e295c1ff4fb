-- Whether a message may be sent: the one place that decides, for the sidecar's batches and for SQL alike.

-- The answer to one item of a batch. `item` counts from 1; `envelope` only with status 200.
create type sealcast.verdict as (
  item integer,
  status integer,
  code text,
  message text,
  details text,
  hint text,
  retry_after_ms bigint,
  replayed boolean,
  envelope text
);

-- What an admit hook returns to refuse, for example (402, 'insufficient_funds', 'not enough coins', null).
create type sealcast.refusal as (
  status integer,
  code text,
  message text,
  hint text
);

create function sealcast.in_utc(moment timestamptz) returns text
  language sql stable
  return to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- Judges a batch without writing anything. A row an item, in order; status 200 = may be claimed. The payload is
-- prepared even for those who are refused, since a repeat of theirs is answered by its hash.
create function sealcast.judge(stream_ids uuid[], types text[], sender_ids uuid[], payloads text[],
                               out item integer, out status integer, out code text, out message text, out details text,
                               out hint text, out retry_after_ms bigint, out hook regprocedure,
                               out canonical text, out sent_hash bytea)
  returns setof record
  language plpgsql stable rows 100 set search_path = pg_catalog, pg_temp
  -- Index probes for the batch's ids, then hash joins, whatever the planner believes of the batch and the tables.
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_nestloop = off set enable_mergejoin = off
  set jit = off as $$
declare
  judged_at constant timestamptz := clock_timestamp();
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  -- Few are restricted: the others cost a look into a list that is mostly empty.
  restricted constant uuid[] := array(
    select x.user_id from sealcast.restrictions x
    where x.user_id = any (sender_ids) and (x.until is null or x.until > judged_at));
begin
  return query
  with known as materialized (
    select i.n::integer as n, i.stream_id, i.t, i.sender_id, i.d, r.role,
      s.stream_id is not null as stream_exists, s.closed_at,
      y.t is not null as type_exists, y.max_bytes, y.required_roles, y.system_only, y.server_fields, y.admit_hook,
      case when i.sender_id = any (restricted) then (
        select x from sealcast.restrictions x
        where x.user_id = i.sender_id and (x.stream_id = i.stream_id or x.stream_id is null)
          and (x.until is null or x.until > judged_at)
        order by x.kind, x.until desc nulls first limit 1) end as restriction
    from unnest(stream_ids, types, sender_ids, payloads) with ordinality as i (stream_id, t, sender_id, d, n)
    left join (select * from sealcast.streams s where s.stream_id = any (stream_ids)) s on s.stream_id = i.stream_id
    left join (select * from sealcast.message_types y where y.t = any (types)) y on y.t = i.t
    left join (select * from sealcast.stream_roles r where r.user_id = any (sender_ids)) r
      on r.user_id = i.sender_id and r.stream_id = i.stream_id
  ),
  prepared as materialized (
    select k.*, sealcast.prepare_payload(
        k.d,
        coalesce(k.server_fields, '{user_role}'),
        case when k.server_fields = '{}' then '{}' else array[k.role] end) as payload
    from known k
  ),
  judged as materialized (
    select p.*, case
      when p.stream_id is null or p.t is null or p.sender_id is null or p.d is null then 'invalid_request'
      when not p.type_exists then 'unknown_type'
      when not p.stream_exists then 'stream_not_found'
      when p.closed_at <= judged_at then 'stream_closed'
      when (p.restriction).kind = 'ban' then 'user_banned'
      when (p.restriction).kind = 'mute' then 'user_muted'
      when p.system_only <> (p.sender_id = system_sender) then 'role_required'
      when p.required_roles is not null and p.role = any (p.required_roles) is not true then 'role_required'
      when (p.payload).problem is not null then 'invalid_json'
      when octet_length((p.payload).canonical) > p.max_bytes then 'payload_too_large'
    end as refusal
    from prepared p
  )
  select j.n,
    case j.refusal
      when 'invalid_request' then 400 when 'invalid_json' then 400
      when 'stream_not_found' then 404
      when 'payload_too_large' then 413
      when 'unknown_type' then 422
      else case when j.refusal is null then 200 else 403 end
    end,
    j.refusal,
    case j.refusal
      when 'invalid_request' then 'stream_id, t, sender_id or d is null'
      when 'unknown_type' then format('there is no message type %L', left(j.t, 64))
      when 'stream_not_found' then format('there is no stream %s', j.stream_id)
      when 'stream_closed' then 'this stream is closed'
      when 'user_banned' then 'you are banned' || case when (j.restriction).stream_id is null then '' else ' from this stream' end
      when 'user_muted' then 'you are muted' || case when (j.restriction).stream_id is null then '' else ' in this stream' end
      when 'role_required' then format('messages of type %s are not yours to send', j.t)
      when 'invalid_json' then (j.payload).problem
      when 'payload_too_large' then format('d has %s bytes, at most %s are allowed for type %s',
                                           octet_length((j.payload).canonical), j.max_bytes, j.t)
    end,
    case when j.refusal in ('user_banned', 'user_muted') then 'until ' || sealcast.in_utc((j.restriction).until)
         when j.refusal = 'role_required' then case when j.system_only then 'only the system sends this type'
                                               else array_to_string(j.required_roles, ', ') end
         when j.refusal = 'stream_closed' then 'since ' || sealcast.in_utc(j.closed_at)
    end,
    case j.refusal
      when 'invalid_request' then 'Send all four.'
      when 'unknown_type' then 'Use a type of sealcast.message_types.'
      when 'stream_not_found' then 'Check stream_id.'
      when 'stream_closed' then 'Send to a stream that is open.'
      when 'user_banned' then 'Wait until it ends, or ask a moderator.'
      when 'user_muted' then 'Wait until it ends, or ask a moderator.'
      when 'role_required' then 'Send a type that your role may send.'
      when 'invalid_json' then 'Send an I-JSON object (RFC 7493) whose numbers a double holds exactly.'
      when 'payload_too_large' then 'Send less, or have the type''s max_bytes raised.'
    end,
    case when j.refusal in ('user_banned', 'user_muted')
         then ceil(extract(epoch from (j.restriction).until - judged_at) * 1000)::bigint end,
    j.admit_hook,
    (j.payload).canonical,
    (j.payload).sent_hash
  from judged j
  order by j.n;
end $$;
