-- Cells: databases that share the streams. Each stream is in one cell (docs/cells.md). Invariant: these two tables have
-- the same rows in every cell.

create table sealcast.cells (
  cell text primary key constraint cell_is_a_lower_case_name_of_32 check (cell ~ '^[a-z0-9-]{1,32}$'),
  -- An origin without a path: the paths are those of the other sidecar.
  url text not null constraint url_is_an_origin check (url ~ '^https?://([a-z0-9.-]+|[[][0-9a-f:]+[]])(:[0-9]{1,5})?$')
);
comment on table sealcast.cells is
  'The cells and the URLs of their sidecars. No row: this database has all streams. The setting sealcast.cell names the cell of this database';

create table sealcast.cell_pins (
  stream_id uuid primary key,
  cell text not null
);
create index on sealcast.cell_pins (cell);
comment on table sealcast.cell_pins is 'Streams that are in another cell than the one that rendezvous() chooses';

create function sealcast.rendezvous(stream_id uuid, cells text[]) returns text
  language c immutable strict parallel safe as 'MODULE_PATHNAME', 'sealcast_rendezvous';
comment on function sealcast.rendezvous(uuid, text[]) is
  'Returns the cell with the highest score. A score is the first 8 bytes (big-endian) of SHA-256 over cell/stream_id. Null when there is no cell';

create function sealcast.cell_of(stream_id uuid) returns text
  language sql stable strict security definer set search_path = pg_catalog, pg_temp
  return coalesce((select p.cell from sealcast.cell_pins p where p.stream_id = cell_of.stream_id),
                  sealcast.rendezvous(stream_id, array(select c.cell from sealcast.cells c)));
comment on function sealcast.cell_of(uuid) is
  'Returns the cell of the stream: the cell of its pin, else the one that rendezvous() chooses; null when there are no cells';

-- Returns the setting sealcast.cell, also in a backend that has not loaded the library yet; null: not set.
create function sealcast_internal.own_cell() returns text
  language c stable as 'MODULE_PATHNAME', 'sealcast_own_cell';

-- Raises unless the stream is in this cell.
create function sealcast_internal.require_here(stream_id uuid) returns void
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  elsewhere sealcast.cells;
begin
  select c.* into elsewhere from sealcast.cells c
  where sealcast_internal.own_cell() is not null and c.cell = sealcast.cell_of(require_here.stream_id) and c.cell <> sealcast_internal.own_cell();
  if found then
    perform sealcast_internal.refuse(421, 'wrong_cell', format('stream %s is in cell %s', stream_id, elsewhere.cell), elsewhere.url,
                            'Send the request to the URL in the details.');
  end if;
end $$;

-- For the sidecar: one row per cell, and one row per pin with its stream. No row unless sealcast.cell is set.
create function sealcast_internal.cell_map(out cell text, out url text, out own boolean, out stream_id uuid) returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select c.cell, c.url, c.cell = o.cell, p.stream_id
  from (select sealcast_internal.own_cell() as cell) o
  join sealcast.cells c on o.cell is not null
  cross join lateral (select null::uuid as stream_id
                      union all select p.stream_id from sealcast.cell_pins p where p.cell = c.cell) p;
end;
