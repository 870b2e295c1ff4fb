-- Erasure: the request of a person that everything they have written be forgotten. Their messages are redacted, and what
-- others have written about them is removed. What restricts them stays: otherwise a request would lift a ban.
--
-- Steps are short transactions, so that an erasure of many messages delays nobody, and goes on where it was interrupted.
-- Invariant: a row of erasure_messages is deleted in the transaction that erases the content of its message.

-- The erasures in progress, with the place at which the next step goes on. Not dumped: in another database, the pages of
-- the tables are others, so the erasure begins anew.
create table sealcast_internal.erasures (
  user_id uuid primary key,
  -- keys: messages that have a key. pages: the tables without an index on the user. rows: the other tables. late: messages
  -- that were sent in the meantime.
  part text not null default 'keys' check (part in ('keys', 'pages', 'rows', 'late')),
  part_began_at timestamptz not null default clock_timestamp(),
  -- Within keys and late: the last txn_id, and whether a message was found since the first one.
  after_key uuid,
  found_any boolean not null default false,
  -- Within pages: the table and its next page; the partitions with only older messages are left out.
  place text not null default '',
  next_page bigint not null default 0,
  since bigint,
  pages_read bigint not null default 0,
  -- The messages that were found, and those of them that are done.
  found bigint not null default 0,
  done bigint not null default 0,
  messages bigint not null default 0
);
comment on table sealcast_internal.erasures is 'The erasures of users in progress, see erase_user(). messages: how many lost their content';

create table sealcast_internal.erasure_messages (
  user_id uuid not null,
  stream_id uuid not null,
  ts bigint not null,
  message_id bigint not null,
  primary key (user_id, stream_id, ts, message_id)
);
comment on table sealcast_internal.erasure_messages is 'The messages that an erasure has found and not erased yet';

-- Returns the first table at or after a place that an erasure reads page by page: the partitions of messages, then the others.
-- pages: of all these tables together.
create function sealcast_internal.next_erasure_table(place text, since bigint, out next_place text, out relation regclass,
                                                     out of_messages boolean, out pages bigint)
  returns record
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  with tables as (
    select '1 ' || t.relid::text as place, t.relid as relation, true as of_messages
    from pg_partition_tree('sealcast.messages') t
    join pg_class c on c.oid = t.relid and c.relkind = 'r'
    left join sealcast_internal.partition_bounds('sealcast.messages') b on b.partition = t.relid
    where coalesce(b.to_ms, 'Infinity') > coalesce(next_erasure_table.since, 0)
    union all
    select '2 ' || o.relation::text, o.relation, false
    from unnest('{sealcast.moderation_log,sealcast.report_cases,sealcast.restrictions,sealcast.streams,sealcast.term_hits,sealcast.webhook_events}'::regclass[]) o (relation)
    where next_erasure_table.since is null
  )
  select n.place, n.relation, n.of_messages,
         (select sum(pg_relation_size(t.relation)) / current_setting('block_size')::bigint from tables t)::bigint
  from (select) one left join (select t.* from tables t where t.place collate "C" >= next_erasure_table.place collate "C"
                               order by t.place collate "C" limit 1) n on true;
end;

-- Erases what a table says about the user in a range of its pages.
create function sealcast_internal.erase_in_pages(user_id uuid, relation regclass, low tid, high tid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_tidscan = on as $$
#variable_conflict use_variable
begin
  case relation::text
    when 'sealcast.moderation_log' then
      update sealcast.moderation_log l
      set (reason, before, after) = (select e.reason, e.before, e.after from sealcast_internal.without_texts(l) e)
      where l.ctid >= low and l.ctid < high and l.user_id = user_id
        and l.* is distinct from sealcast_internal.without_texts(l);
    when 'sealcast.report_cases' then
      with gone as (
        delete from sealcast.report_cases c where c.ctid >= low and c.ctid < high and c.sender_id = user_id
        returning c.stream_id, c."offset")
      delete from sealcast.reports r using gone g where r.stream_id = g.stream_id and r."offset" = g."offset";
    when 'sealcast.restrictions' then
      update sealcast.restrictions r set reason = null, note = null
      where r.ctid >= low and r.ctid < high and r.user_id = user_id and num_nonnulls(r.reason, r.note) > 0;
    when 'sealcast.streams' then
      update sealcast.streams s set payee_id = null where s.ctid >= low and s.ctid < high and s.payee_id = user_id;
    when 'sealcast.term_hits' then
      delete from sealcast.term_hits h where h.ctid >= low and h.ctid < high and h.sender_id = user_id;
    when 'sealcast.webhook_events' then
      -- The events stay: the backend must learn what happened.
      update sealcast.webhook_events e
      set data = (e.data::jsonb - '{reason,detail}'::text[] #- '{before,reason}' #- '{before,note}' #- '{after,reason}' #- '{after,note}')::text
      where e.ctid >= low and e.ctid < high and user_id::text in (e.data::jsonb ->> 'user_id', e.data::jsonb ->> 'sender_id');
  end case;
end $$;

-- Finds the messages of the user in pages of a partition, and erases why earlier ones were redacted. Returns how many it
-- has found.
create function sealcast_internal.find_in_pages(user_id uuid, partition regclass, low tid, high tid) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_tidscan = on set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  found_messages bigint;
begin
  execute format('insert into sealcast_internal.erasure_messages (user_id, stream_id, ts, message_id)
                  select m.sender_id, m.stream_id, m.ts, m.message_id from %s m
                  where m.ctid >= %L and m.ctid < %L and m.sender_id = %L and m.d is not null
                  on conflict do nothing', partition, low, high, user_id);
  get diagnostics found_messages = row_count;
  execute format('update sealcast.redactions r set reason = null from %s m
                  where m.ctid >= %L and m.ctid < %L and m.sender_id = %L and m.d is null
                    and r.ts = m.ts and r.message_id = m.message_id and r.reason is not null', partition, low, high, user_id);
  return found_messages;
end $$;

-- In the place of the hash of what a user has sent.
create function sealcast_internal.erased_hash() returns bytea
  language sql immutable parallel safe
  return decode(repeat('00', 32), 'hex');

-- Finds the messages of the next keys of the user, and erases the hashes of what was sent. A repeat of such a message gets
-- 409, as one with another content does. Returns how many messages it has found, and the last key; null: there is none.
create function sealcast_internal.find_by_keys(user_id uuid, after_key uuid, "limit" integer, out found_messages bigint, out last_key uuid)
  returns record
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  no_hash constant bytea := sealcast_internal.erased_hash();
begin
  select max(k.txn_id::text)::uuid into last_key from (
    select t.txn_id from sealcast.txn_keys t
    where t.sender_id = user_id and t.txn_id > coalesce(after_key, '00000000-0000-0000-0000-000000000000')
    order by t.txn_id limit "limit") k;
  insert into sealcast_internal.erasure_messages (user_id, stream_id, ts, message_id)
  select m.sender_id, m.stream_id, m.ts, m.message_id
  from sealcast.txn_keys k join sealcast.messages m on m.ts = k.ts and m.message_id = k.message_id
  where k.sender_id = find_by_keys.user_id and k.txn_id > coalesce(after_key, '00000000-0000-0000-0000-000000000000')
    and k.txn_id <= last_key and m.d is not null
  on conflict do nothing;
  get diagnostics found_messages = row_count;
  update sealcast.txn_keys k set sent_hash = no_hash
  where k.sender_id = find_by_keys.user_id and k.txn_id > coalesce(after_key, '00000000-0000-0000-0000-000000000000')
    and k.txn_id <= last_key and k.sent_hash <> no_hash;
end $$;

-- Erases the content of found messages of one stream, and announces it by one message. A stream that was deleted, or has
-- moved to another cell, has no readers here. Returns how many found messages are done, and how many had content.
create function sealcast_internal.erase_found(user_id uuid, "limit" integer, out done bigint, out messages bigint) returns record
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off as $$
declare
  stream constant uuid := (select w.stream_id from sealcast_internal.erasure_messages w where w.user_id = erase_found.user_id
                           order by w.stream_id limit 1);
  has_readers boolean;
  ts bigint[];
  message_ids bigint[];
begin
  done := 0; messages := 0;
  if stream is null then
    return;
  end if;
  -- The redactions of a stream follow each other under this lock.
  perform from sealcast.streams s where s.stream_id = stream for no key update;
  has_readers := found and coalesce(sealcast.cell_of(stream) = sealcast_internal.own_cell(), true);
  with taken as (
    delete from sealcast_internal.erasure_messages w
    where w.user_id = erase_found.user_id and w.stream_id = stream and (w.ts, w.message_id) <= (
      select (max(array[f.ts, f.message_id]))[1], (max(array[f.ts, f.message_id]))[2] from (
        select o.ts, o.message_id from sealcast_internal.erasure_messages o
        where o.user_id = erase_found.user_id and o.stream_id = stream order by o.ts, o.message_id limit erase_found."limit") f)
    returning w.ts, w.message_id)
  select count(*), array_agg(t.ts) filter (where m.d is not null), array_agg(t.message_id) filter (where m.d is not null)
    into done, ts, message_ids
  from taken t left join sealcast.messages m on m.ts = t.ts and m.message_id = t.message_id;
  messages := sealcast_internal.purge_found(stream, user_id, ts, message_ids, null, has_readers);
end $$;

-- Erases the rows that an index finds, at most `limit` of each table. Returns whether more may be left.
create function sealcast_internal.erase_rows(user_id uuid, "limit" integer) returns boolean
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_variable
declare
  no_hash constant bytea := sealcast_internal.erased_hash();
  erased bigint;
  more boolean := false;
begin
  delete from sealcast.stream_roles r where r.ctid = any (array(
    select o.ctid from sealcast.stream_roles o where o.user_id = user_id limit "limit"));
  get diagnostics erased = row_count;
  more := more or erased >= "limit";
  delete from sealcast.reports r where r.ctid = any (array(
    select o.ctid from sealcast.reports o where o.reporter_id = user_id limit "limit"));
  get diagnostics erased = row_count;
  more := more or erased >= "limit";
  -- The rows stay, because their keys do: a repeat learns that the message was decided.
  update sealcast.held_messages h
  set d = null, detail = null, reason = null, sent_hash = no_hash, outcome = coalesce(h.outcome, 'denied'),
      decided_at = coalesce(h.decided_at, clock_timestamp())
  where h.ctid = any (array(
    select o.ctid from sealcast.held_messages o where o.sender_id = user_id and o.sent_hash <> no_hash limit "limit"));
  get diagnostics erased = row_count;
  more := more or erased >= "limit";
  -- The error of a handler may quote the message.
  update sealcast.event_attempts a set reason = 'erased' where a.ctid = any (array(
    select o.ctid from sealcast.event_handlers h join sealcast.event_attempts o on o.handler = h.name
    where o.sender_id = user_id and o.reason <> 'erased' limit "limit"));
  get diagnostics erased = row_count;
  more := more or erased >= "limit";
  update sealcast.event_dead_letters d set reason = 'erased' where d.ctid = any (array(
    select o.ctid from sealcast.event_handlers h join sealcast.event_dead_letters o on o.handler = h.name
    where o.sender_id = user_id and o.reason <> 'erased' limit "limit"));
  get diagnostics erased = row_count;
  return more or erased >= "limit";
end $$;

-- Does the next step of an erasure, and returns its state; part null: the erasure has ended.
create function sealcast_internal.next_erasure_step(user_id uuid, "limit" integer) returns sealcast_internal.erasures
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  pages_per_step constant bigint := 1000;
  state sealcast_internal.erasures;
  step record;
  pages bigint;
  through bigint;
begin
  insert into sealcast_internal.erasures (user_id) values (next_erasure_step.user_id) on conflict do nothing;
  if found then
    perform sealcast_internal.log_act('erase_user', null, user_id);
  end if;
  select e.* into state from sealcast_internal.erasures e where e.user_id = next_erasure_step.user_id for update;

  if state.found > state.done then
    step := sealcast_internal.erase_found(user_id, "limit");
    state.done := case when step.done = 0 then state.found else state.done + step.done end;
    state.messages := state.messages + step.messages;
  elsif state.part in ('keys', 'late') then
    step := sealcast_internal.find_by_keys(user_id, state.after_key, "limit");
    state.found := state.found + step.found_messages;
    state.found_any := state.found_any or step.found_messages > 0;
    state.after_key := step.last_key;
    if step.last_key is null then
      if state.part = 'keys' then
        state.part := 'pages';
      elsif state.part_began_at < clock_timestamp() - (select r.keep_txn_ids from sealcast_internal.current_retention() r) then
        -- Messages that were sent meanwhile may have lost their keys.
        state.part := 'pages'; state.place := ''; state.next_page := 0;
        state.since := floor(extract(epoch from state.part_began_at) * 1000);
        state.part_began_at := clock_timestamp();
      elsif not state.found_any and not sealcast_internal.erase_rows(user_id, "limit") then
        delete from sealcast_internal.erasures e where e.user_id = next_erasure_step.user_id;
        perform sealcast_internal.log_act('erase_user_finished', null, user_id, null, null, jsonb_build_object('messages', state.messages));
        state.part := null;
        return state;
      end if;
      state.found_any := false;
    end if;
  elsif state.part = 'pages' then
    step := sealcast_internal.next_erasure_table(state.place, state.since);
    if step.relation is null then
      state.part := 'rows';
    else
      -- The table in progress may have been dropped.
      if step.next_place <> state.place then
        state.place := step.next_place; state.next_page := 0;
      end if;
      pages := pg_relation_size(step.relation) / current_setting('block_size')::bigint;
      through := least(state.next_page + pages_per_step, pages);
      if step.of_messages then
        state.found := state.found + sealcast_internal.find_in_pages(user_id, step.relation, format('(%s,0)', state.next_page)::tid,
                                                                     format('(%s,0)', through)::tid);
      else
        perform sealcast_internal.erase_in_pages(user_id, step.relation, format('(%s,0)', state.next_page)::tid, format('(%s,0)', through)::tid);
      end if;
      state.pages_read := state.pages_read + greatest(through - state.next_page, 0);
      state.next_page := through;
      if through >= pages then
        -- The blank sorts after this table and before any other.
        state.place := step.next_place || ' '; state.next_page := 0;
      end if;
    end if;
  elsif not sealcast_internal.erase_rows(user_id, "limit") then
    state.part := 'late';
  end if;
  update sealcast_internal.erasures e
  set (part, part_began_at, after_key, found_any, place, next_page, since, pages_read, found, done, messages)
      = (state.part, state.part_began_at, state.after_key, state.found_any, state.place, state.next_page, state.since,
         state.pages_read, state.found, state.done, state.messages)
  where e.user_id = next_erasure_step.user_id;
  return state;
end $$;

create function sealcast.erase_user_step(user_id uuid, "limit" integer default 10000, out messages bigint, out done bigint,
                                         out total bigint, out postponed boolean, out finished boolean)
  returns record
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  -- Shorter than the lock_timeout of admission: a message that waits behind this lock does not time out.
  set lock_timeout = '50ms' as $$
declare
  state sealcast_internal.erasures;
begin
  perform sealcast_internal.require_triggers();
  perform sealcast_internal.authorise('erase_user', null);
  perform sealcast_internal.require_user(user_id);
  if ("limit" between 1 and 10000) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid limit: %s', coalesce("limit"::text, 'null')), null, 'Use 1 to 10000.');
  end if;
  postponed := false; finished := false;
  begin
    state := sealcast_internal.next_erasure_step(user_id, "limit");
    finished := state.part is null;
  exception when lock_not_available or deadlock_detected or sqlstate 'PT503' then
    postponed := true;
    select e.* into state from sealcast_internal.erasures e where e.user_id = erase_user_step.user_id;
  end;
  messages := coalesce(state.messages, 0);
  done := coalesce(state.pages_read + state.done, 0);
  -- While the first keys are looked up, the number of messages is unknown, so the pages are a lower bound.
  total := greatest(done, state.found + case when state.part in ('keys', 'pages') then (sealcast_internal.next_erasure_table('', state.since)).pages
                                             else state.pages_read end);
end $$;
comment on function sealcast.erase_user_step(uuid, integer) is
  'Does the next step of an erasure, see erase_user(), in which at most `limit` messages lose their content. messages: how many have lost it so far; done and total: units of work, for the progress; postponed: others hold a lock, so pause and call again; finished: nothing is left. For sealcast_admin';

-- Neither SECURITY DEFINER nor a search_path of its own, because such a procedure cannot commit. So every name in it has
-- its schema.
create procedure sealcast.erase_user(user_id uuid)
  language plpgsql as $$
declare
  step record;
begin
  loop
    select s.messages, s.done, s.total, s.postponed, s.finished into step from sealcast.erase_user_step(user_id) s;
    commit;
    exit when step.finished;
    raise notice '% messages erased, % of % done', step.messages, step.done, step.total;
    if step.postponed then
      perform pg_catalog.pg_sleep(0.1);
    end if;
  end loop;
end $$;
comment on procedure sealcast.erase_user(uuid) is
  'Erases what a user has written, and the texts that others have written about the user: calls erase_user_step() until nothing is left, and commits after each step. If it is interrupted, call it again: it goes on. For sealcast_admin';
