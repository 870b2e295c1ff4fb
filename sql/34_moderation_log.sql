-- The moderation log: every act of moderation, in the transaction of the act. Invariants: an entry is never changed, except
-- that an erasure removes its texts, and is deleted only when it is older than the retention.
--
-- Triggers on the tables make the entries, so an act by a function and an act by sealcast_admin on the table are entered
-- in one way. Rows that the owner or a superuser inserts may come from a dump, which has their entries too. So a trigger
-- enters inserted rows only for other roles, and the functions enter the rows that they insert.

create table sealcast.moderation_log (
  -- Ordered by time. Not a number from a sequence: the entries of a stream move between cells.
  entry_id uuid primary key,
  logged_at timestamptz not null,
  act text not null constraint act_is_a_lower_case_name_of_64 check (act ~ '^[a-z][a-z0-9_]{0,63}$'),
  stream_id uuid,
  user_id uuid,
  actor_id uuid,
  actor_rank sealcast.user_rank not null,
  login text not null default session_user,
  reason text,
  before jsonb,
  after jsonb
);
-- The nil UUID stands for all streams.
create index on sealcast.moderation_log (coalesce(stream_id, '00000000-0000-0000-0000-000000000000'), entry_id);
comment on table sealcast.moderation_log is
  'Every act of moderation. The table is append-only: maintain() deletes the entries that are older than retention.keep_moderation_log';
comment on column sealcast.moderation_log.stream_id is 'null: in all streams';
comment on column sealcast.moderation_log.user_id is 'To whom the act was done; null: to the stream';
comment on column sealcast.moderation_log.actor_id is 'Who did the act; null: a caller without a session';
comment on column sealcast.moderation_log.login is 'The login role of the connection. For sealcast_admin';
comment on column sealcast.moderation_log.before is 'What the act has changed, before it; null: nothing was there';

-- Returns a UUID of version 7 (RFC 9562): its order is that of the time, in microseconds.
create function sealcast_internal.ordered_id(at timestamptz) returns uuid
  language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
  select (lpad(to_hex(t.us / 1000), 12, '0') || to_hex(28672 + t.us % 1000 * 4096 / 1000)
          || substr(replace(gen_random_uuid()::text, '-', ''), 17))::uuid
  from (select floor(extract(epoch from at) * 1000000)::bigint as us) t;
end;

-- Enters an act of the caller. `before` and `after` have what the act has changed.
create function sealcast_internal.log_act(act text, stream_id uuid, user_id uuid, reason text default null,
                                          before jsonb default null, after jsonb default null) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  moment constant timestamptz := clock_timestamp();
  entry sealcast.moderation_log;
begin
  insert into sealcast.moderation_log (entry_id, logged_at, act, stream_id, user_id, actor_id, actor_rank, reason, before, after)
  values (sealcast_internal.ordered_id(moment), moment, act, stream_id, user_id, sealcast.caller_id(),
          case when sealcast_internal.is_admin() then 'admin'
               else sealcast_internal.rank_of(sealcast_internal.role_in(stream_id, sealcast.caller_id())) end,
          reason, before, after)
  returning * into entry;
  perform sealcast_internal.queue_webhook_of(entry);
end $$;

-- The rows of a deleted stream go with it (68_references.sql). The entry of the stream represents them.
create function sealcast_internal.went_with_stream(stream_id uuid) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select went_with_stream.stream_id is not null
         and not exists (select from sealcast.streams s where s.stream_id = went_with_stream.stream_id);
end;

create function sealcast_internal.log_restriction(before sealcast.restrictions, after sealcast.restrictions) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  kind constant text := coalesce(after.kind, before.kind);
  not_repeated constant text[] := '{kind,stream_id,user_id}';
  act text;
begin
  act := case
    when before.restriction_id is null then kind
    when after.restriction_id is null then kind || '_deleted'
    when before.lifted_at is not null or after.lifted_at is null then kind || '_changed'
    when exists (select from sealcast.restrictions r
                 where r.user_id = after.user_id and r.kind = after.kind and r.stream_id is not distinct from after.stream_id
                   and r.lifted_at is null and r.created_at = after.lifted_at) then kind || '_replaced'
    else 'un' || kind end;
  if after.restriction_id is null and sealcast_internal.went_with_stream(before.stream_id) then
    return;
  end if;
  perform sealcast_internal.log_act(act, coalesce(after.stream_id, before.stream_id), coalesce(after.user_id, before.user_id),
    coalesce(after.reason, before.reason),
    case when before.restriction_id is not null then to_jsonb(before) - not_repeated end,
    case when after.restriction_id is not null then to_jsonb(after) - not_repeated end);
end $$;

create function sealcast_internal.log_role(before sealcast.stream_roles, after sealcast.stream_roles) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if (before.stream_id, before.user_id) <> (after.stream_id, after.user_id) then
    perform sealcast_internal.log_role(before, null);
    perform sealcast_internal.log_role(null, after);
  elsif after.role is not null or not sealcast_internal.went_with_stream(before.stream_id) then
    perform sealcast_internal.log_act('set_role', coalesce(after.stream_id, before.stream_id), coalesce(after.user_id, before.user_id), null,
      jsonb_build_object('role', before.role), jsonb_build_object('role', after.role));
  end if;
end $$;

-- Whether erase_user() is erasing what is known about the user (77_erasure.sql).
create function sealcast_internal.is_being_erased(user_id uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from sealcast_internal.erasures e where e.user_id = is_being_erased.user_id);
end $$;

-- Returns an entry without what people have written: without its reason, and the reason and the note of a restriction.
create function sealcast_internal.without_texts(entry sealcast.moderation_log) returns sealcast.moderation_log
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  entry.reason := null;
  entry.before := entry.before - '{reason,note}'::text[];
  entry.after := entry.after - '{reason,note}'::text[];
  return entry;
end $$;

create function sealcast_internal.log_inserted_restrictions() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  row_inserted sealcast.restrictions;
begin
  for row_inserted in select * from inserted loop
    perform sealcast_internal.log_restriction(null, row_inserted);
  end loop;
  return null;
end $$;
create trigger log_inserted after insert on sealcast.restrictions referencing new table as inserted
  for each statement when (not has_table_privilege('sealcast.restrictions', 'truncate'))
  execute function sealcast_internal.log_inserted_restrictions();

create function sealcast_internal.log_changed_restriction() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- An erasure removes the texts of a restriction, and an entry would have them again.
  if tg_op = 'UPDATE' and num_nonnulls(new.reason, new.note) = 0
     and to_jsonb(new) - '{reason,note}'::text[] = to_jsonb(old) - '{reason,note}'::text[] and sealcast_internal.is_being_erased(new.user_id) then
    return null;
  end if;
  perform sealcast_internal.log_restriction(old, new);
  return null;
end $$;
create trigger log_updated after update on sealcast.restrictions
  for each row when (old.* is distinct from new.*) execute function sealcast_internal.log_changed_restriction();
create trigger log_deleted after delete on sealcast.restrictions
  for each row execute function sealcast_internal.log_changed_restriction();

create function sealcast_internal.log_inserted_roles() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  row_inserted sealcast.stream_roles;
begin
  for row_inserted in select * from inserted loop
    perform sealcast_internal.log_role(null, row_inserted);
  end loop;
  return null;
end $$;
create trigger log_inserted after insert on sealcast.stream_roles referencing new table as inserted
  for each statement when (not has_table_privilege('sealcast.stream_roles', 'truncate'))
  execute function sealcast_internal.log_inserted_roles();

create function sealcast_internal.log_changed_role() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.log_role(old, new);
  return null;
end $$;
create trigger log_updated after update on sealcast.stream_roles
  for each row when ((old.stream_id, old.user_id, old.role) is distinct from (new.stream_id, new.user_id, new.role))
  execute function sealcast_internal.log_changed_role();
create trigger log_deleted after delete on sealcast.stream_roles
  for each row execute function sealcast_internal.log_changed_role();

create function sealcast_internal.log_changed_stream() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    perform sealcast_internal.log_act('delete_stream', old.stream_id, null, null, to_jsonb(old) - 'stream_id' - 'metadata');
    return null;
  end if;
  if old.closed_at is distinct from new.closed_at then
    perform sealcast_internal.log_act(case when new.closed_at is null then 'reopen_stream' else 'close_stream' end, new.stream_id, null, null,
      jsonb_build_object('closed_at', old.closed_at), jsonb_build_object('closed_at', new.closed_at));
  end if;
  if old.visibility <> new.visibility then
    perform sealcast_internal.log_act('set_visibility', new.stream_id, null, null,
      jsonb_build_object('visibility', old.visibility), jsonb_build_object('visibility', new.visibility));
  end if;
  if old.payee_id is distinct from new.payee_id then
    perform sealcast_internal.log_act('set_payee', new.stream_id, new.payee_id, null,
      jsonb_build_object('payee_id', old.payee_id), jsonb_build_object('payee_id', new.payee_id));
  end if;
  return null;
end $$;
create trigger log_updated after update on sealcast.streams
  for each row when ((old.closed_at, old.visibility, old.payee_id) is distinct from (new.closed_at, new.visibility, new.payee_id))
  execute function sealcast_internal.log_changed_stream();
create trigger log_deleted after delete on sealcast.streams
  for each row execute function sealcast_internal.log_changed_stream();

-- Also the owner changes no entry. An erasure removes texts about its user. current_retention() without a row: nothing may be deleted yet.
create function sealcast_internal.refuse_log_change() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' and old.logged_at < now() - (select r.keep_moderation_log from sealcast_internal.current_retention() r) then
    return old;
  elsif tg_op = 'UPDATE' and new is not distinct from sealcast_internal.without_texts(old) and sealcast_internal.is_being_erased(old.user_id) then
    return new;
  end if;
  raise exception '%.% is append-only', tg_table_schema, tg_table_name using errcode = 'object_not_in_prerequisite_state',
    hint = 'maintain() deletes the entries that are older than keep_moderation_log in sealcast.retention.';
end $$;
create trigger append_only before update or delete on sealcast.moderation_log
  for each row execute function sealcast_internal.refuse_log_change();
create trigger not_truncated before truncate on sealcast.moderation_log
  for each statement execute function sealcast_internal.refuse_log_change();

create function sealcast.moderation_log_of(stream_id uuid, user_id uuid default null, before uuid default null, "limit" integer default 50)
  returns setof sealcast.moderation_log
  language plpgsql stable security definer rows 50 set search_path = pg_catalog, pg_temp as $$
declare
  admin constant boolean := sealcast_internal.is_admin();
  entry sealcast.moderation_log;
begin
  perform sealcast_internal.require_page_limit("limit");
  perform sealcast_internal.authorise(case when stream_id is null then 'restrict_everywhere' else 'read_moderation_log' end, stream_id);
  for entry in
    select l.* from sealcast.moderation_log l
    where coalesce(l.stream_id, '00000000-0000-0000-0000-000000000000')
          = coalesce(moderation_log_of.stream_id, '00000000-0000-0000-0000-000000000000')
      and l.entry_id < coalesce(moderation_log_of.before, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      and (moderation_log_of.user_id is null or l.user_id = moderation_log_of.user_id)
    order by l.entry_id desc limit moderation_log_of."limit"
  loop
    entry.login := case when admin then entry.login end;
    return next entry;
  end loop;
end $$;
comment on function sealcast.moderation_log_of(uuid, uuid, uuid, integer) is
  'Returns the acts of moderation in a stream, the newest first. user_id: only acts to this user; before: only entries before this entry_id; limit: 1 to 500. login is null except for sealcast_admin. For moderators; stream_id null: the acts in all streams, for sealcast_admin';
