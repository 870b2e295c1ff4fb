-- Sampling: in a chat storm, the public channel of a stream carries only a sample of ordinary messages.

create function sealcast.sampled(user_id uuid, stream_id uuid, rate integer) returns boolean
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_sampled';
comment on function sealcast.sampled(uuid, uuid, integer) is
  'Returns whether the user is in the sample of rate percent of the stream''s users: the first 8 bytes (big-endian) of SHA-256 over user_id and stream_id (lower-case text), modulo 100, are less than rate';

-- `d` is the sealed payload. The server has filled in user_role there, for types that have this server field.
create function sealcast.tier(t text, sender_id uuid, d jsonb) returns integer
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select case
    when tier.sender_id = '00000000-0000-0000-0000-000000000000' then 0
    when y.tier0_amount is not null and jsonb_typeof(tier.d -> 'amount') = 'number'
         and (tier.d ->> 'amount')::numeric >= y.tier0_amount then 0
    when jsonb_typeof(tier.d -> 'user_role') = 'string' and y.server_fields = '{user_role}' then least(y.tier, 1)
    else coalesce(y.tier, 2)
  end
  from (values (tier.t)) i (t) left join sealcast.message_types y on y.t = i.t;
end;
comment on function sealcast.tier(text, uuid, jsonb) is
  'Returns the tier of a message. 0: from the system, of a type of tier 0, or with an amount of at least tier0_amount; 1: of a type of tier 1, or from a sender with a role in the stream; 2: all others';

-- Stores the new rates and sends the messages that announce them, in one transaction. Rate 100: the stream is no longer
-- sampled.
create function sealcast_internal.apply_sampling(stream_ids uuid[], rates integer[], forced boolean)
  returns setof sealcast.verdict
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  streams constant integer := cardinality(stream_ids);
begin
  if streams = 0 then
    return;
  end if;
  insert into sealcast.sampling as s (stream_id, rate, forced, announced_at)
  select c.stream_id, c.rate, apply_sampling.forced, clock_timestamp()
  from unnest(stream_ids, rates) c (stream_id, rate) where c.rate < 100 or apply_sampling.forced
  order by c.stream_id
  on conflict (stream_id) do update
    set rate = excluded.rate, forced = excluded.forced, announced_at = excluded.announced_at;
  if not forced then
    delete from sealcast.sampling s using unnest(stream_ids, rates) c (stream_id, rate)
    where s.stream_id = c.stream_id and c.rate = 100;
  end if;
  return query
  with answered as materialized (
    select c.stream_id, a as verdict
    from unnest(stream_ids) with ordinality c (stream_id, item)
    join sealcast.admit(
      stream_ids, array_fill('sampling_update'::text, array[streams]),
      array_fill('00000000-0000-0000-0000-000000000000'::uuid, array[streams]),
      array(select gen_random_uuid() from generate_series(1, streams)),
      array(select json_build_object('active', r < 100, 'rate', r)::text
            from unnest(rates) with ordinality c (r, i) order by c.i)) a on a.item = c.item
  ), left_alone as (
    -- The stream is deleted, or in another cell.
    delete from sealcast.sampling s using answered a where s.stream_id = a.stream_id and (a.verdict).status in (404, 421)
  )
  select (a.verdict).* from answered a;
end $$;

-- Returns the streams whose rate is to be announced: it changes, or late joiners do not get it any more.
create function sealcast_internal.due_sampling(led integer[], stream_ids uuid[], rates integer[],
                                      out stream_id uuid, out rate integer, out forced boolean)
  returns setof record
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select n.stream_id, n.rate, n.forced
  from (
    -- The end of a stream ends a forced rate, too.
    select stream_id, coalesce(s.forced and not e.closed, false) as forced,
           (case when e.closed then 100 when s.forced then s.rate else coalesce(c.rate, 100) end)::integer as rate,
           s.rate as old, s.announced_at
    from unnest(due_sampling.stream_ids, due_sampling.rates) c (stream_id, rate)
    full join sealcast.sampling s using (stream_id)
    left join sealcast.streams t using (stream_id)
    cross join lateral (values (coalesce(t.closed_at <= clock_timestamp(), false))) e (closed)
    where sealcast_internal.shard_of(stream_id) = any (led)) n
  -- A reader who joins takes it that no stream is sampled, so 100 percent need not be in the state.
  where coalesce(n.old, 100) <> n.rate
     or n.rate < 100 and sealcast_internal.state_lost(n.stream_id, 'sampling_update', n.announced_at);
end $$;

-- The leader of a shard calls this with the rates of the streams in a storm. All other sampled streams return to 100,
-- except forced ones. A stream that another transaction has locked, for example with set_sampling(), waits for a later
-- call.
create function sealcast_internal.sample_streams(shards integer[], epochs bigint[], stream_ids uuid[], rates integer[],
                                        out told integer, out locked uuid[])
  returns record
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  led constant integer[] := array(select l.shard from sealcast_internal.led(shards, epochs) l);
  due constant uuid[] := array(select d.stream_id from sealcast_internal.due_sampling(led, stream_ids, rates) d);
  -- set_sampling() locks the stream first, so a stream without a row is locked there.
  free constant uuid[] :=
    array(select s.stream_id from sealcast.sampling s where s.stream_id = any (due) for update skip locked)
    || array(select s.stream_id from sealcast.streams s
             where s.stream_id = any (due) and not exists (select from sealcast.sampling r where r.stream_id = s.stream_id)
             for no key update skip locked);
  changed record;
begin
  locked := array(select s.stream_id from sealcast.streams s where s.stream_id = any (due) except select unnest(free));
  -- Read again: a rate may have been set before its row was locked.
  select coalesce(array_agg(n.stream_id) filter (where not n.forced), '{}') as stream_ids,
         coalesce(array_agg(n.rate) filter (where not n.forced), '{}') as rates,
         coalesce(array_agg(n.stream_id) filter (where n.forced), '{}') as forced_ids,
         coalesce(array_agg(n.rate) filter (where n.forced), '{}') as forced_rates
    into changed
  from sealcast_internal.due_sampling(led, stream_ids, rates) n join unnest(free) f (stream_id) using (stream_id);
  select count(*) filter (where a.status = 200) into told
  from (select * from sealcast_internal.apply_sampling(changed.stream_ids, changed.rates, false)
        union all
        select * from sealcast_internal.apply_sampling(changed.forced_ids, changed.forced_rates, true)) a;
end $$;
comment on function sealcast_internal.sample_streams(integer[], bigint[], uuid[], integer[]) is
  'Sets the rates of the caller''s shards: the given rates for the named streams, 100 for all others. told: how many sampling_update messages it sent. locked: the streams that another transaction has locked; their rates wait';

create function sealcast_internal.sampled_streams(shards integer[], out stream_id uuid, out rate integer, out forced boolean)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select s.stream_id, s.rate::integer, s.forced from sealcast.sampling s where sealcast_internal.shard_of(s.stream_id) = any (shards);
end;

create function sealcast.set_sampling(stream_id uuid, rate integer) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  sealed sealcast.verdict;
begin
  perform sealcast_internal.authorise_and_lock('control', stream_id);
  if rate is not null then
    perform sealcast_internal.require_open(stream_id);
  end if;
  if rate is not null and rate not between 0 and 100 then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid rate: %s', rate), null,
                            'Use 0 to 100 percent, or null to let the stream''s velocity decide.');
  end if;
  if rate is null then
    -- A rate of 100 needs no announcement when the velocity decides again.
    delete from sealcast.sampling s where s.stream_id = set_sampling.stream_id and s.rate = 100;
    update sealcast.sampling s set forced = false where s.stream_id = set_sampling.stream_id;
  else
    select * into sealed from sealcast_internal.apply_sampling(array[stream_id], array[rate], true);
    perform sealcast_internal.require_sealed(sealed);
  end if;
end $$;
comment on function sealcast.set_sampling(uuid, integer) is
  'Sends the tier 2 messages of only rate percent of the users, whatever the stream''s velocity; 100: of all users; null: the velocity decides again. For owners of the stream and sealcast_admin';
