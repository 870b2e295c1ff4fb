-- Blocked terms: who may add, remove and read them is in 31_authority.sql, how they are found in core/terms.

-- Tells all backends that the terms have changed: each reads them again before its next message.
create function sealcast_internal.note_term_change() returns trigger
  language c as 'MODULE_PATHNAME', 'sealcast_note_term_change';
-- Logical replication fires no triggers of statements, except for truncate.
create trigger note_term_change after insert or update or delete on sealcast.blocked_terms
  for each row execute function sealcast_internal.note_term_change();
create trigger note_term_truncation after truncate on sealcast.blocked_terms
  for each statement execute function sealcast_internal.note_term_change();
alter table sealcast.blocked_terms enable always trigger note_term_change;
alter table sealcast.blocked_terms enable always trigger note_term_truncation;

-- Returns why the term cannot be matched beside the other terms, or null.
create function sealcast_internal.term_problem(term text, kind text, whole_word boolean, others text[], other_kinds text[])
  returns text
  language c volatile strict as 'MODULE_PATHNAME', 'sealcast_term_problem';

create function sealcast.add_blocked_term(stream_id uuid, term text, kind text default 'literal', whole_word boolean default null,
                                          action text default 'refuse') returns uuid
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  most constant integer := 10000;
  most_bytes constant integer := 262144;
  terms bigint;
  bytes bigint;
  scope constant uuid := coalesce(stream_id, '00000000-0000-0000-0000-000000000000');
  whole constant boolean := coalesce(whole_word, kind is distinct from 'pattern');
  problem text;
  known sealcast.blocked_terms;
  added sealcast.blocked_terms;
begin
  perform sealcast_internal.authorise_and_lock(case when stream_id is null then 'terms_everywhere' else 'set_terms' end, stream_id);
  if term is null or term = '' then
    perform sealcast_internal.refuse(400, 'invalid_request', 'term is null or empty', null, 'Pass the text that messages must not have.');
  elsif kind is null or kind not in ('literal', 'wildcard', 'pattern') then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the kind of the term is invalid', left(kind, 64), 'Use literal, wildcard or pattern.');
  elsif action is null or action not in ('refuse', 'hold', 'mask', 'flag') then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the action of the term is invalid', left(action, 64), 'Use refuse, hold, mask or flag.');
  elsif kind = 'pattern' and whole then
    perform sealcast_internal.refuse(400, 'invalid_request', 'a pattern cannot have whole_word', null,
                                     'Leave whole_word out, and write the limits of words into the pattern.');
  end if;
  perform sealcast_internal.require_stream(stream_id);
  -- The lock of the stream makes the limit exact. All streams together have no row to lock.
  perform pg_advisory_xact_lock('sealcast.blocked_terms'::regclass::bigint) where stream_id is null;
  select b.* into known from sealcast.blocked_terms b
  where coalesce(b.stream_id, '00000000-0000-0000-0000-000000000000') = scope
    and b.kind = kind and b.whole_word = whole and b.term collate "C" = term;
  if found then
    if known.action <> action then
      update sealcast.blocked_terms b set action = action where b.term_id = known.term_id;
      perform sealcast_internal.log_act('change_blocked_term', stream_id, null, null, to_jsonb(known) - 'stream_id',
                                        to_jsonb(known) - 'stream_id' || jsonb_build_object('action', action));
    end if;
    return known.term_id;
  end if;
  select count(*), coalesce(sum(octet_length(b.term)), 0) into terms, bytes from sealcast.blocked_terms b
  where coalesce(b.stream_id, '00000000-0000-0000-0000-000000000000') = scope;
  if terms >= most then
    perform sealcast_internal.refuse(400, 'invalid_request', format('there are already %s terms', most), null,
                                     'Remove terms first, or use wildcards.');
  elsif bytes + octet_length(term) > most_bytes then
    perform sealcast_internal.refuse(400, 'invalid_request', format('all terms together may have %s bytes', most_bytes),
                                     format('the terms have %s bytes, this one %s', bytes, octet_length(term)),
                                     'Remove terms first, or use wildcards.');
  end if;
  select sealcast_internal.term_problem(term, kind, whole, coalesce(array_agg(b.term), '{}'), coalesce(array_agg(b.kind), '{}')) into problem
  from sealcast.blocked_terms b
  where kind <> 'literal' and coalesce(b.stream_id, '00000000-0000-0000-0000-000000000000') = scope and b.kind <> 'literal';
  if problem is not null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'this term cannot be matched', problem,
                                     case kind when 'pattern' then 'Write a pattern in the syntax of RE2, or use a wildcard.'
                                               else 'Write at least one letter, digit or sign, and fewer characters.' end);
  end if;
  insert into sealcast.blocked_terms (stream_id, term, kind, whole_word, action, created_by)
  values (stream_id, term, kind, whole, action, sealcast.caller_id())
  returning * into added;
  perform sealcast_internal.log_act('add_blocked_term', stream_id, null, null, null, to_jsonb(added) - 'stream_id');
  return added.term_id;
end $$;
comment on function sealcast.add_blocked_term(uuid, text, text, boolean, text) is
  'Blocks a term in a stream (stream_id null: in all streams, sealcast_admin only) and returns its term_id. Adding the same term again sets its action. kind: literal, wildcard or pattern; whole_word: by default true, and false for a pattern; action: refuse, hold, mask or flag';

create function sealcast.remove_blocked_term(term_id uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  removed sealcast.blocked_terms;
begin
  select b.* into removed from sealcast.blocked_terms b where b.term_id = remove_blocked_term.term_id;
  if not found then
    -- Not an error, and the same for a term of another stream: nobody learns which terms exist.
    perform sealcast_internal.current_sender() where not sealcast_internal.is_admin();
    return false;
  elsif removed.stream_id is not null and not sealcast_internal.is_admin() and not sealcast.caller_moderates(removed.stream_id) then
    return false;
  end if;
  perform sealcast_internal.authorise_and_lock(case when removed.stream_id is null then 'terms_everywhere' else 'set_terms' end,
                                               removed.stream_id);
  delete from sealcast.blocked_terms b where b.term_id = remove_blocked_term.term_id;
  if not found then
    return false;
  end if;
  perform sealcast_internal.log_act('remove_blocked_term', removed.stream_id, null, null, to_jsonb(removed) - 'stream_id');
  return true;
end $$;
comment on function sealcast.remove_blocked_term(uuid) is
  'Removes a blocked term. Returns false when there is none with this term_id in a stream that the caller moderates';

create function sealcast.blocked_terms_of(stream_id uuid) returns setof sealcast.blocked_terms
  language plpgsql stable security definer rows 100 set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.authorise(case when stream_id is null then 'terms_everywhere' else 'read_terms' end, stream_id);
  return query
  select b.* from sealcast.blocked_terms b
  where coalesce(b.stream_id, '00000000-0000-0000-0000-000000000000')
        = coalesce(blocked_terms_of.stream_id, '00000000-0000-0000-0000-000000000000')
  order by b.created_at desc, b.term_id;
end $$;
comment on function sealcast.blocked_terms_of(uuid) is
  'Returns the blocked terms of a stream, the newest first, for its moderators; stream_id null: those of all streams, for sealcast_admin';

create function sealcast.term_hits_of(stream_id uuid, before timestamptz default null, "limit" integer default 100,
                                      before_hit uuid default null)
  returns setof sealcast.term_hits
  language plpgsql stable security definer rows 100 set search_path = pg_catalog, pg_temp as $$
declare
  -- No hit_id is less than the nil UUID: without before_hit, only older hits come before `before`.
  first_at constant timestamptz := coalesce(before, 'infinity');
  first_hit constant uuid := coalesce(before_hit, '00000000-0000-0000-0000-000000000000');
begin
  perform sealcast_internal.authorise('read_terms', stream_id) where stream_id is not null;
  perform sealcast_internal.authorise('terms_everywhere', null) where stream_id is null;
  if ("limit" between 1 and 1000) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid limit: %s', coalesce("limit"::text, 'null')), null, 'Use 1 to 1000.');
  elsif before is null and before_hit is not null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'before_hit needs before', null,
                                     'Pass at and hit_id of the last hit of the page before.');
  end if;
  if stream_id is null then
    return query select h.* from sealcast.term_hits h
    where (h.at, h.hit_id) < (first_at, first_hit) order by h.at desc, h.hit_id desc limit "limit";
  else
    return query select h.* from sealcast.term_hits h
    where h.stream_id = term_hits_of.stream_id and (h.at, h.hit_id) < (first_at, first_hit)
    order by h.at desc, h.hit_id desc limit "limit";
  end if;
end $$;
comment on function sealcast.term_hits_of(uuid, timestamptz, integer, uuid) is
  'Returns the messages that blocked terms have flagged or refused in a stream, the newest first, for its moderators; stream_id null: in all streams, for sealcast_admin. before: only older ones; before and before_hit: those after the hit with this at and hit_id';
