-- Notices: tell a user at once what has changed for them in a stream: a mute, a ban, a role, or the stream itself. Triggers
-- record whom a change concerns, in its transaction. The sidecars read these rows, and give the sealed notice to the event
-- streams of that user alone. A notice is no message: it has no offset, and is in no history and on no transport.
--
-- A notice states how things are when it is sealed, not what an act has done. So it is never out of date, and a row has no
-- text of people.

create table sealcast_internal.user_notices (
  notice_id bigint generated always as identity primary key,
  -- The ids are not in the order of the commits. A sidecar finds new rows by their transaction, as drain() does.
  xid xid8 not null default pg_current_xact_id(),
  stream_id uuid not null,
  user_id uuid not null,
  subject text not null,
  noticed_at timestamptz not null default clock_timestamp()
);
create index on sealcast_internal.user_notices (xid, notice_id);
-- For notices_of().
create index on sealcast_internal.user_notices (user_id, stream_id) where subject in ('mute', 'ban');
comment on table sealcast_internal.user_notices is
  'What has changed for users within the last hour: a mute, a ban, the role, or the stream (closed, visibility, deleted). The nil UUID stands for all streams, and for all users';

-- Records that the subject has changed for the user, and wakes the sidecars when the transaction commits. stream_id null: in
-- all streams; user_id null: for all users. The rows of a deleted stream go with it, and its own notice represents them.
create function sealcast_internal.add_notice(subject text, stream_id uuid, user_id uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if subject = 'deleted' or not sealcast_internal.went_with_stream(stream_id) then
    insert into sealcast_internal.user_notices (stream_id, user_id, subject)
    values (coalesce(add_notice.stream_id, '00000000-0000-0000-0000-000000000000'),
            coalesce(add_notice.user_id, '00000000-0000-0000-0000-000000000000'), add_notice.subject);
    notify sealcast_notices;
  end if;
end $$;

-- One statement for all rows: an import or a restore may insert millions.
create function sealcast_internal.notice_inserted_restrictions() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into sealcast_internal.user_notices (stream_id, user_id, subject)
  select distinct coalesce(i.stream_id, '00000000-0000-0000-0000-000000000000'), i.user_id, i.kind from inserted i;
  if found then
    notify sealcast_notices;
  end if;
  return null;
end $$;
create trigger notice_inserted after insert on sealcast.restrictions referencing new table as inserted
  for each statement execute function sealcast_internal.notice_inserted_restrictions();

create function sealcast_internal.notice_changed_restriction() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.add_notice(old.kind, old.stream_id, old.user_id);
  if tg_op = 'UPDATE' and (old.kind, old.stream_id, old.user_id) is distinct from (new.kind, new.stream_id, new.user_id) then
    perform sealcast_internal.add_notice(new.kind, new.stream_id, new.user_id);
  end if;
  return null;
end $$;
create trigger notice_updated after update on sealcast.restrictions for each row
  when ((old.kind, old.stream_id, old.user_id, old.until, old.lifted_at)
        is distinct from (new.kind, new.stream_id, new.user_id, new.until, new.lifted_at))
  execute function sealcast_internal.notice_changed_restriction();
create trigger notice_deleted after delete on sealcast.restrictions
  for each row when (old.lifted_at is null) execute function sealcast_internal.notice_changed_restriction();

create function sealcast_internal.notice_inserted_roles() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into sealcast_internal.user_notices (stream_id, user_id, subject) select i.stream_id, i.user_id, 'role' from inserted i;
  if found then
    notify sealcast_notices;
  end if;
  return null;
end $$;
create trigger notice_inserted after insert on sealcast.stream_roles referencing new table as inserted
  for each statement execute function sealcast_internal.notice_inserted_roles();

create function sealcast_internal.notice_changed_role() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.add_notice('role', old.stream_id, old.user_id);
  if tg_op = 'UPDATE' and (old.stream_id, old.user_id) <> (new.stream_id, new.user_id) then
    perform sealcast_internal.add_notice('role', new.stream_id, new.user_id);
  end if;
  return null;
end $$;
create trigger notice_updated after update on sealcast.stream_roles
  for each row when ((old.stream_id, old.user_id, old.role) is distinct from (new.stream_id, new.user_id, new.role))
  execute function sealcast_internal.notice_changed_role();
create trigger notice_deleted after delete on sealcast.stream_roles
  for each row execute function sealcast_internal.notice_changed_role();

create function sealcast_internal.notice_changed_stream() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    perform sealcast_internal.add_notice('deleted', old.stream_id, null);
    return null;
  end if;
  if old.closed_at is distinct from new.closed_at then
    perform sealcast_internal.add_notice('closed', new.stream_id, null);
  end if;
  if old.visibility <> new.visibility then
    perform sealcast_internal.add_notice('visibility', new.stream_id, null);
  end if;
  return null;
end $$;
create trigger notice_updated after update on sealcast.streams
  for each row when ((old.closed_at, old.visibility) is distinct from (new.closed_at, new.visibility))
  execute function sealcast_internal.notice_changed_stream();
create trigger notice_deleted after delete on sealcast.streams
  for each row execute function sealcast_internal.notice_changed_stream();

-- Returns the rows that the snapshot as_of sees and the snapshot since does not, in an order of their own: the page after
-- the row (after_xid, after_id); null: the first page.
create function sealcast_internal.new_notices(since pg_snapshot, as_of pg_snapshot, after_xid xid8, after_id bigint, max_rows integer,
                                     out xid xid8, out notice_id bigint, out stream_id uuid, out user_id uuid, out subject text)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select n.xid, n.notice_id, n.stream_id, n.user_id, n.subject from sealcast_internal.user_notices n
  where (n.xid, n.notice_id) > (coalesce(after_xid, '0'), coalesce(after_id, 0))
    and n.xid >= pg_snapshot_xmin(since) and n.xid < pg_snapshot_xmax(as_of)
    and not pg_visible_in_snapshot(n.xid, since) and pg_visible_in_snapshot(n.xid, as_of)
  order by n.xid, n.notice_id limit max_rows;
end;
comment on function sealcast_internal.new_notices(pg_snapshot, pg_snapshot, xid8, bigint, integer) is
  'Returns a page of the changes that became visible between two snapshots, for the notices to the users whom they concern';

-- Returns the sealed notice: how the subject is now. The nil UUID stands for all streams, and for all users.
create function sealcast_internal.seal_notice(subject text, stream_id uuid, user_id uuid) returns text
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  nil constant uuid := '00000000-0000-0000-0000-000000000000';
  moment constant timestamptz := clock_timestamp();
  stream sealcast.streams;
  strictest sealcast.restrictions;
  kind text;
  ends timestamptz;
begin
  if subject in ('mute', 'ban') then
    select r.* into strictest from sealcast.restrictions r
    where r.user_id = seal_notice.user_id and r.kind = seal_notice.subject and r.lifted_at is null
      and coalesce(r.until, 'infinity') > moment and r.stream_id is not distinct from nullif(seal_notice.stream_id, nil)
    order by r.until desc nulls first, r.created_at desc limit 1;
    ends := strictest.until;
    kind := case when strictest.kind is null then 'un' else '' end || case subject when 'mute' then 'muted' else 'banned' end;
  elsif subject = 'role' then
    kind := 'role_changed';
  else
    select s.* into stream from sealcast.streams s where s.stream_id = seal_notice.stream_id;
    ends := case when subject = 'closed' and stream.closed_at > moment then stream.closed_at end;
    kind := case when stream.stream_id is null then 'stream_deleted'
                 when subject = 'visibility' then 'stream_' || stream.visibility
                 when stream.closed_at is null then 'stream_reopened'
                 when ends is not null then 'stream_closes' else 'stream_closed' end;
  end if;
  return sealcast.seal('user_notice', stream_id::text, nil::text, gen_random_uuid()::text,
    floor(extract(epoch from moment) * 1000)::bigint,
    json_build_object(
      'kind', kind, 'stream_id', nullif(seal_notice.stream_id, nil), 'user_id', nullif(seal_notice.user_id, nil),
      'until', floor(extract(epoch from ends) * 1000)::bigint, 'reason', strictest.reason,
      'role', (select r.role from sealcast.stream_roles r
               where seal_notice.subject = 'role' and r.stream_id = seal_notice.stream_id and r.user_id = seal_notice.user_id)));
end $$;

create function sealcast_internal.seal_notices(subjects text[], stream_ids uuid[], user_ids uuid[], out item integer, out envelope text)
  returns setof record
  language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
  select i.n::integer, sealcast_internal.seal_notice(i.subject, i.stream_id, i.user_id)
  from unnest(subjects, stream_ids, user_ids) with ordinality i (subject, stream_id, user_id, n) order by i.n;
end;
comment on function sealcast_internal.seal_notices(text[], uuid[], uuid[]) is
  'Returns the sealed notice of each item: of a subject, in a stream, to a user. The nil UUID stands for all streams, and for all users';

-- Returns whether notices_of() returns a notice, for the restriction of standing(). Its answer may be true without one.
create function sealcast_internal.has_notices(user_id uuid, restriction text) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select has_notices.user_id is not null
         and (restriction is not null or exists (
           select from sealcast_internal.user_notices n where n.user_id = has_notices.user_id and n.subject in ('mute', 'ban')));
end;

-- For a user who begins to read: the restrictions in force, and those that have changed within the last hour, because the
-- user may have missed that they ended.
create function sealcast_internal.notices_of(stream_id uuid, user_id uuid, out envelope text) returns setof text
  language sql volatile security definer rows 2 set search_path = pg_catalog, pg_temp
begin atomic
  select sealcast_internal.seal_notice(s.subject, s.stream_id, notices_of.user_id) from (
    select r.kind as subject, coalesce(r.stream_id, '00000000-0000-0000-0000-000000000000') as stream_id from sealcast.restrictions r
    where r.user_id = notices_of.user_id and (r.stream_id = notices_of.stream_id or r.stream_id is null)
      and r.lifted_at is null and coalesce(r.until, 'infinity') > clock_timestamp()
    union
    select n.subject, n.stream_id from sealcast_internal.user_notices n
    where n.user_id = notices_of.user_id and n.subject in ('mute', 'ban') and n.stream_id in (notices_of.stream_id, '00000000-0000-0000-0000-000000000000')
      and n.noticed_at > clock_timestamp() - interval '1 hour') s
  order by s.subject, s.stream_id;
end;
comment on function sealcast_internal.notices_of(uuid, uuid) is
  'Returns the sealed notices for a user who begins to read the stream: the restrictions in force, and those that have changed within the last hour';
