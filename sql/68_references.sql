-- References between tables that pg_dump dumps. They are no foreign keys: pg_restore loads tables in parallel and in any
-- order, so no row may depend on a row of another table. Instead, deletions follow by triggers, functions check what
-- they write, and so do the policies of sealcast_admin (90_privileges.sql).

-- Raises unless the stream exists, and keeps it from being deleted until the transaction ends. null: all streams.
create function sealcast_internal.require_stream(stream_id uuid) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from sealcast.streams s where s.stream_id = require_stream.stream_id for key share;
  if not found and stream_id is not null then
    raise exception 'stream % does not exist', stream_id
      using errcode = 'foreign_key_violation', hint = 'Insert the stream into sealcast.streams first, or check stream_id.';
  end if;
  return true;
end $$;

create function sealcast_internal.require_cell(cell text) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from sealcast.cells c where c.cell = require_cell.cell for key share;
  if not found and cell is not null then
    raise exception 'cell % does not exist', left(cell, 64)
      using errcode = 'foreign_key_violation', hint = 'Insert the cell into sealcast.cells first.';
  end if;
  return true;
end $$;

create function sealcast_internal.delete_with_streams() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from sealcast.stream_roles r using gone where r.stream_id = gone.stream_id;
  delete from sealcast.restrictions r using gone where r.stream_id = gone.stream_id;
  delete from sealcast.report_cases c using gone where c.stream_id = gone.stream_id;
  delete from sealcast.reports r using gone where r.stream_id = gone.stream_id;
  -- A message that was not sealed has no original any more.
  delete from sealcast.txn_keys k using sealcast.held_messages h, gone
  where h.stream_id = gone.stream_id and h.outcome is distinct from 'approved' and k.sender_id = h.sender_id and k.txn_id = h.txn_id
    and k.ts <= extract(epoch from h.held_at) * 1000;
  delete from sealcast.held_messages h using gone where h.stream_id = gone.stream_id;
  delete from sealcast.blocked_terms b using gone where coalesce(b.stream_id, '00000000-0000-0000-0000-000000000000') = gone.stream_id;
  delete from sealcast.term_hits h using gone where h.stream_id = gone.stream_id;
  delete from sealcast.switching w using gone where w.stream_id = gone.stream_id;
  delete from sealcast.sampling s using gone where s.stream_id = gone.stream_id;
  delete from sealcast.stream_rules r using gone where r.stream_id = gone.stream_id;
  delete from sealcast.pins p using gone where p.stream_id = gone.stream_id;
  return null;
end $$;
create trigger delete_with_streams after delete on sealcast.streams referencing old table as gone
  for each statement execute function sealcast_internal.delete_with_streams();

create function sealcast_internal.refuse_stream_id_change() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'the stream_id of a stream cannot change' using errcode = 'object_not_in_prerequisite_state',
    detail = 'Roles, restrictions and signed messages name the stream by it.', hint = 'Insert another stream.';
end $$;
create trigger refuse_stream_id_change before update of stream_id on sealcast.streams
  for each row when (old.stream_id <> new.stream_id) execute function sealcast_internal.refuse_stream_id_change();

create function sealcast_internal.refuse_orphans() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from sealcast.stream_roles) or exists (select from sealcast.switching) or exists (select from sealcast.stream_rules) or exists (select from sealcast.pins)
     or exists (select from sealcast.restrictions r where r.stream_id is not null)
     or exists (select from sealcast.report_cases) or exists (select from sealcast.reports) or exists (select from sealcast.held_messages)
     or exists (select from sealcast.blocked_terms b where b.stream_id is not null) then
    raise exception 'other tables still name the streams' using errcode = 'foreign_key_violation',
      hint = 'Truncate sealcast.stream_roles, sealcast.restrictions, sealcast.report_cases, sealcast.reports, sealcast.held_messages, sealcast.blocked_terms, sealcast.stream_rules, sealcast.pins and sealcast.switching in the same command, or delete from sealcast.streams.';
  end if;
  return null;
end $$;
create trigger refuse_orphans after truncate on sealcast.streams
  for each statement execute function sealcast_internal.refuse_orphans();

create function sealcast_internal.refuse_pinned_cells() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  pinned text;
begin
  select p.cell into pinned from sealcast.cell_pins p
  where not exists (select from sealcast.cells c where c.cell = p.cell) and p.cell in (select g.cell from gone g) limit 1;
  if found then
    raise exception 'streams are pinned to cell %', pinned
      using errcode = 'foreign_key_violation', hint = 'Change or delete their rows in sealcast.cell_pins first.';
  end if;
  return null;
end $$;
create trigger refuse_pinned_cells after delete on sealcast.cells referencing old table as gone
  for each statement execute function sealcast_internal.refuse_pinned_cells();
create trigger refuse_pinned_cells_renamed after update on sealcast.cells referencing old table as gone
  for each statement execute function sealcast_internal.refuse_pinned_cells();
