-- audit(): compares all balances, points and counts with the entries and messages. Only the audit may sum over the
-- whole history.

-- The messages of users that were erased: their rows are gone, and their keys are kept until maintain() trims them.
create function sealcast_economy.erased_messages(since_ms bigint, until_ms bigint) returns table (sender_id uuid, ts bigint)
  language sql stable
begin atomic
  select k.sender_id, k.ts from sealcast.txn_keys k
  where k.ts >= since_ms and k.ts < until_ms and sealcast_economy.is_users(k.sender_id)
    and not exists (select from sealcast.messages m where m.ts = k.ts and m.message_id = k.message_id)
    -- A message that waits for a moderator, or was denied, was never a message of the stream.
    and not exists (select from sealcast.held_messages h
                    where h.sender_id = k.sender_id and h.txn_id = k.txn_id and h.outcome is distinct from 'approved');
end;

-- Erased messages and those without their content, which stated the role of the sender.
create function sealcast_economy.messages_without_role(since_ms bigint, until_ms bigint) returns table (sender_id uuid, ts bigint)
  language sql stable
begin atomic
  select e.sender_id, e.ts from sealcast_economy.erased_messages(since_ms, until_ms) e
  union all
  select m.sender_id, m.ts from sealcast.messages m
  where m.ts >= since_ms and m.ts < until_ms and m.d is null and sealcast_economy.is_users(m.sender_id);
end;

-- Whether erased messages may explain that more messages were counted than are kept: there are enough of them, or the
-- keys that would prove it are trimmed.
create function sealcast_economy.may_be_erased(counted bigint, kept bigint, erased bigint, keys_kept boolean) returns boolean
  language sql immutable parallel safe
  return counted > coalesce(kept, 0) and (counted - coalesce(kept, 0) <= coalesce(erased, 0) or not keys_kept);

-- STABLE: the whole audit reads one snapshot, so a change meanwhile is no discrepancy.
create function sealcast_economy.audit(first_day date default null, last_day date default null)
  returns table (what text, subject text, expected text, found text)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off as $$
declare
  with_role constant text[] := sealcast_economy.types_with_role();
  -- Retention keeps whole days of messages, so the audit compares whole days.
  first_kept constant date := (select sealcast_economy.day_of(min(m.ts)) from sealcast.messages m);
  since constant date := greatest(first_day, coalesce(first_kept, 'infinity'));
  until constant date := coalesce(last_day + 1, 'infinity');
  since_ms constant bigint := case when isfinite(since) then extract(epoch from since) * 1000 else 9223372036854775807 end;
  until_ms constant bigint := case when isfinite(until) then extract(epoch from until) * 1000 else 9223372036854775807 end;
  -- From this day on, no key was trimmed.
  keys_from constant date := 1 + greatest(
    (now() - (select max(r.keep_txn_ids) from sealcast.retention r))::date,
    (select sealcast_economy.day_of(max(h.effects_from)) from sealcast.event_handlers h));
begin
  return query
  select 'transfer', e.transfer_id::text, format('0 %s', e.currency), format('%s %s', sum(e.amount), e.currency)
  from sealcast_economy.entries e group by e.transfer_id, e.currency having sum(e.amount) <> 0
  union all
  select 'transfer', x.transfer_id::text, 'entries', 'none'
  from sealcast_economy.transfers x
  where not exists (select from sealcast_economy.entries e where e.transfer_id = x.transfer_id)
  union all
  select distinct 'transfer', e.transfer_id::text, 'a row of transfers', 'none'
  from sealcast_economy.entries e
  where not exists (select from sealcast_economy.transfers x where x.transfer_id = e.transfer_id);

  return query
  select 'balance', format('%s %s %s', kind, owner_id, currency), coalesce(s.amount, 0)::text, coalesce(a.balance, 0)::text
  from sealcast_economy.accounts a
  full join (select e.kind, e.owner_id, e.currency, sum(e.amount) as amount
             from sealcast_economy.entries e group by 1, 2, 3) s using (kind, owner_id, currency)
  where coalesce(a.balance, 0) <> coalesce(s.amount, 0)
  union all
  select 'balance', format('hold %s %s', owner_id, currency), format('%s, the open holds', coalesce(h.amount, 0)),
         coalesce(a.balance, 0)::text
  from (select a.owner_id, a.currency, a.balance from sealcast_economy.accounts a where a.kind = 'hold') a
  full join (select h.sender_id as owner_id, h.currency, sum(h.amount) as amount
             from sealcast_economy.holds h group by 1, 2) h using (owner_id, currency)
  where coalesce(a.balance, 0) <> coalesce(h.amount, 0);

  -- The amount that each gift has captured from the hold of its sender.
  return query
  select 'gift', format('%s %s', m.sender_id, m.txn_id), format('%s captured', coalesce(m.amount::text, 'the amount')),
         case when e.amount is not null then format('%s captured', -e.amount)
              when h.amount is not null then format('%s held', h.amount) else 'nothing' end
  from (select m.sender_id, m.txn_id, m.d is null as redacted, (m.d::json ->> 'amount')::numeric as amount
        from sealcast.messages m
        where m.ts >= since_ms and m.ts < until_ms
          and m.t in (select y.t from sealcast.message_types y
                      where y.admit_hook = sealcast_economy.hook_name())) m
  left join sealcast_economy.transfers x on x.sender_id = m.sender_id and x.txn_id = m.txn_id and x.kind = 'capture'
  left join sealcast_economy.entries e on e.transfer_id = x.transfer_id and e.kind = 'hold'
  left join sealcast_economy.holds h on h.sender_id = m.sender_id and h.txn_id = m.txn_id
  -- The amount of a redacted gift is known from its hold alone.
  where case when m.redacted then e.amount is null else -e.amount is distinct from m.amount end;

  return query
  select 'xp of a day', format('%s %s %s %s', user_id, day, t, nullif(role, '')),
         format('%s messages, %s points', coalesce(w.messages, 0), coalesce(w.points, 0)),
         format('%s messages, %s points', coalesce(d.messages, 0), coalesce(d.points, 0))
  from (
    select m.user_id, m.day, r.t, coalesce(r.role, '') as role, sum(m.messages) as messages,
           sealcast_economy.xp_gain(0, sum(m.messages)::bigint, r.points, r.daily_cap) as points
    from (
      select m.sender_id as user_id, sealcast_economy.day_of(m.ts) as day, m.t, count(*) as messages,
             sealcast_economy.stated_role(m.t, m.d::json, with_role) as role
      from sealcast.messages m
      where m.ts >= since_ms and m.ts < until_ms and sealcast_economy.is_users(m.sender_id) and m.d is not null
        and m.t in (select r.t from sealcast_economy.xp_rules r)
      group by 1, 2, 3, 5) m
    cross join lateral sealcast_economy.xp_rule(m.t, m.role) r
    group by m.user_id, m.day, r.t, r.role, r.points, r.daily_cap) w
  full join (
    select d.user_id, d.day, d.t, coalesce(d.role, '') as role, d.messages, d.points,
           r.t is not null and d.points = sealcast_economy.xp_gain(0, d.messages, r.points, r.daily_cap) as follows_rule
    from sealcast_economy.xp_days d left join sealcast_economy.xp_rules r on r.t = d.t and r.role is not distinct from d.role
    where d.day >= since and d.day < until) d using (user_id, day, t, role)
  left join (select e.sender_id as user_id, sealcast_economy.day_of(e.ts) as day, count(*) as messages
             from sealcast_economy.messages_without_role(since_ms, until_ms) e group by 1, 2) e using (user_id, day)
  where (w.messages, w.points) is distinct from (d.messages, d.points)
    and not (coalesce(d.follows_rule, false)
             and sealcast_economy.may_be_erased(d.messages, w.messages::bigint, e.messages, day >= keys_from) is true)
  union all
  select 'xp', user_id::text, coalesce(d.points, 0)::text, coalesce(x.points, 0)::text
  from (select x.user_id, x.total - x.earlier as points from sealcast_economy.xp x) x
  full join (select d.user_id, sum(d.points) as points from sealcast_economy.xp_days d group by 1) d using (user_id)
  where coalesce(x.points, 0) <> coalesce(d.points, 0);

  return query
  select 'messages of a minute', format('%s %s', stream_id, minute), coalesce(w.messages, 0)::text, coalesce(s.messages, 0)::text
  from (select m.stream_id, sealcast_economy.minute_of(m.ts) as minute, count(*) as messages
        from sealcast.messages m
        where m.ts >= since_ms and m.ts < until_ms and sealcast_economy.is_users(m.sender_id) group by 1, 2) w
  full join (select s.stream_id, s.minute, s.messages from sealcast_economy.stream_minutes s
             where s.minute >= since and s.minute < until) s using (stream_id, minute)
  left join (select sealcast_economy.minute_of(e.ts) as minute, count(*) as messages
             from sealcast_economy.erased_messages(since_ms, until_ms) e group by 1) e using (minute)
  where coalesce(w.messages, 0) <> coalesce(s.messages, 0)
    and sealcast_economy.may_be_erased(s.messages, w.messages, e.messages, minute >= keys_from) is not true
  union all
  select 'messages of a user', format('%s %s %s', stream_id, day, user_id), coalesce(w.messages, 0)::text,
         coalesce(c.messages, 0)::text
  from (select m.stream_id, sealcast_economy.day_of(m.ts) as day, m.sender_id as user_id, count(*) as messages
        from sealcast.messages m
        where m.ts >= since_ms and m.ts < until_ms and sealcast_economy.is_users(m.sender_id) group by 1, 2, 3) w
  full join (select c.stream_id, c.day, c.user_id, c.messages from sealcast_economy.chatters c
             where c.day >= since and c.day < until) c using (stream_id, day, user_id)
  left join (select e.sender_id as user_id, sealcast_economy.day_of(e.ts) as day, count(*) as messages
             from sealcast_economy.erased_messages(since_ms, until_ms) e group by 1, 2) e using (user_id, day)
  where coalesce(w.messages, 0) <> coalesce(c.messages, 0)
    and sealcast_economy.may_be_erased(c.messages, w.messages, e.messages, day >= keys_from) is not true;
end $$;
comment on function sealcast_economy.audit(date, date) is
  'Returns every discrepancy, or no row. It checks the whole ledger, and the gifts, XP and aggregates of the given UTC days (null: all) whose messages are kept. A message that no worker has applied yet is a discrepancy; an erased message is none';
