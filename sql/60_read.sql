-- Reads for the sidecar: the history of a stream by offset, and the rows that the sidecar's caches hold.

create function sealcast.history(stream_id uuid, after bigint default null, before bigint default null,
                                 max_rows integer default 50, only_public boolean default false,
                                 out "offset" bigint, out prev bigint, out envelope text, out public_prev bigint)
  returns setof record
  language plpgsql stable rows 50 security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  -- 2^62 is far from the ends of bigint, so nothing below overflows.
  above constant bigint := least(greatest(history.after, 0), 1::bigint << 62);
  below constant bigint := coalesce(history.before, 9223372036854775807);
begin
  if (max_rows between 1 and 10000) is not true then
    raise exception 'max_rows must be between 1 and 10000, not %', max_rows using errcode = 'invalid_parameter_value';
  end if;
  -- `surely`: the least number of messages that a run gives to the page. Runs are read until their sum is at least
  -- max_rows.
  if history.after is not null then
    return query
    select page."offset", page."offset" - 1,
      (select sealcast.envelope(m) from sealcast.messages m where m.ts = page.ts and m.message_id = page.message_id),
      page.public_prev
    from (
      select run."offset" + i as "offset", run.ts, run.first_id + i as message_id, p.public_prev
      from (
        select r.*, sum(r.surely) over (order by r."offset") as through
        from (
          select r.*, case when not only_public or r.public_bits is null
                           then least(r.messages, r."offset" + r.messages - 1 - above)
                           when r."offset" > above then bit_count(r.public_bits) else 0 end as surely
          from sealcast.stream_runs r
          where r.stream_id = history.stream_id and r."offset" < below
            -- The run that holds the next offset may begin before `above`.
            and r."offset" >= coalesce((select max(n."offset") from sealcast.stream_runs n
                                        where n.stream_id = history.stream_id and n."offset" <= above), above)
            and (not only_public or r.public_bits is null or bit_count(r.public_bits) > 0)
          order by r."offset" limit max_rows + 1) r
        ) run
      cross join lateral generate_series(greatest(0, above + 1 - run."offset"), run.messages - 1) i
      cross join lateral sealcast.public_prev(run."offset", run.public_before, run.public_bits, i) p (public_prev)
      where run.through - run.surely < max_rows and run."offset" + i < below
        and (not only_public or p.public_prev is not null)
      order by 1 limit max_rows) page
    order by page."offset";
  else
    return query
    select page."offset", page."offset" - 1,
      (select sealcast.envelope(m) from sealcast.messages m where m.ts = page.ts and m.message_id = page.message_id),
      page.public_prev
    from (
      select run."offset" + i as "offset", run.ts, run.first_id + i as message_id, p.public_prev
      from (
        select r.*, sum(r.surely) over (order by r."offset" desc) as through
        from (
          select r.*, case when not only_public or r.public_bits is null then least(r.messages, below - r."offset")
                           when r."offset" + r.messages <= below then bit_count(r.public_bits) else 0 end as surely
          from sealcast.stream_runs r
          where r.stream_id = history.stream_id and r."offset" < below
            and (not only_public or r.public_bits is null or bit_count(r.public_bits) > 0)
          order by r."offset" desc limit max_rows + 1) r
        ) run
      cross join lateral generate_series(0, least(run.messages, below - run."offset") - 1) i
      cross join lateral sealcast.public_prev(run."offset", run.public_before, run.public_bits, i) p (public_prev)
      where run.through - run.surely < max_rows and (not only_public or p.public_prev is not null)
      order by 1 desc limit max_rows) page
    order by page."offset";
  end if;
end $$;
comment on function sealcast.history(uuid, bigint, bigint, integer, boolean) is
  'Returns sealed messages in order of offset: from after + 1 on, else the last max_rows (before `before`). only_public: only the messages of the public channel. public_prev: the offset of the message before it on the public channel; null: the message is not there';

create function sealcast.stream_access(stream_id uuid, user_id uuid,
                                       out found boolean, out readable boolean, out vip boolean, out visibility text,
                                       out first_offset bigint, out last_offset bigint)
  returns record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select s.stream_id is not null, coalesce(sealcast.can_read(s.stream_id, stream_access.user_id), false),
         sealcast.role_in(s.stream_id, stream_access.user_id) is not null, s.visibility,
         s.trimmed_through + 1, sealcast.last_offset(s.stream_id)
  from (values (stream_access.stream_id)) asked (stream_id)
  left join sealcast.streams s on s.stream_id = asked.stream_id;
end;
comment on function sealcast.stream_access(uuid, uuid) is
  'Returns whether the stream exists, whether the user (null: no user) may read it or has a role in it, and the oldest and newest offsets that are kept';

create function sealcast.gate_limits(out t text, out max_bytes integer, out rate integer, out role_rates jsonb,
                                     out system_only boolean)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select y.t, y.max_bytes, y.rate, y.role_rates, y.system_only from sealcast.message_types y order by y.t;
end;

create function sealcast.roles_of(stream_ids uuid[], user_ids uuid[], out item integer, out role text)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select i.n::integer, (select r.role from sealcast.stream_roles r where r.stream_id = i.stream_id and r.user_id = i.user_id)
  from unnest(stream_ids, user_ids) with ordinality i (stream_id, user_id, n) order by i.n;
end;
