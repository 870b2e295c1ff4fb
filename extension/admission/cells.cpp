// Finds the cell of a stream: by its pin (a row of cell_pins) or, without a pin, by rendezvous hashing. Also implements
// the SQL functions rendezvous() and own_cell().
#include "admission/cells.h"

#include "core/cell.h"
#include "server/catalog.h"
#include "server/datum.h"
#include "server/guard.h"
#include "server/settings.h"

extern "C" {
#include "storage/lmgr.h"
#include "utils/array.h"
}

namespace sealcast::admission {

namespace {

// Returns the index of the stream's cell in `cells`, by rendezvous hashing; cells.size() if `cells` is empty.
std::size_t rendezvous_of(const pg_uuid_t& stream_id, std::span<const std::string_view> cells) {
  const server::UuidText text(stream_id);
  std::size_t index = 0;
  server::guarded([&](core::CancelFlag) { index = core::rendezvous(text.view(), cells); });
  return index;
}

}  // namespace

bool is_cell() { return server::settings::cell[0] != '\0'; }

void lock_pins() {
  if (is_cell()) LockRelationOid(server::table_id("cell_pins"), AccessShareLock);
}

Cells Cells::open() {
  Cells cells;
  server::IndexLookup table = server::IndexLookup::open("cells");
  const int name = table.column("cell"), url = table.column("url");
  std::size_t capacity = 8;
  cells.count_ = 0;
  cells.cells_ = static_cast<Cell*>(palloc(capacity * sizeof(Cell)));
  for (table.find(std::span<const Datum>()); table.next(); ++cells.count_) {
    if (cells.count_ == capacity)
      cells.cells_ = static_cast<Cell*>(repalloc(cells.cells_, (capacity *= 2) * sizeof(Cell)));
    cells.cells_[cells.count_] = {TextDatumGetCString(table.value(name)), TextDatumGetCString(table.value(url))};
  }
  table.close();
  cells.names_ = static_cast<std::string_view*>(palloc(capacity * sizeof(std::string_view)));
  for (std::size_t i = 0; i < cells.count_; ++i) cells.names_[i] = cells.cells_[i].name;
  cells.pins_ = server::IndexLookup::open("cell_pins");
  cells.pinned_cell_ = cells.pins_.column("cell");
  return cells;
}

void Cells::close() { pins_.close(); }

const Cell* Cells::other_cell_of(const pg_uuid_t& stream_id) {
  const std::size_t index = index_of_cell(stream_id);
  return index == count_ || names_[index] == server::settings::cell ? nullptr : &cells_[index];
}

std::size_t Cells::index_of_cell(const pg_uuid_t& stream_id) {
  const Datum key[] = {UUIDPGetDatum(&stream_id)};
  pins_.find(key);
  if (pins_.next()) {
    const std::string_view cell = server::view(DatumGetTextPP(pins_.value(pinned_cell_)));
    return static_cast<std::size_t>(std::find(names_, names_ + count_, cell) - names_);
  }
  return rendezvous_of(stream_id, {names_, count_});
}

SEALCAST_FUNCTION(sealcast_rendezvous) {
  Datum* values;
  bool* nulls;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
  auto* const cells = static_cast<std::string_view*>(palloc(Max(count, 1) * sizeof(std::string_view)));
  std::size_t named = 0;
  for (int i = 0; i < count; ++i) {
    if (!nulls[i]) cells[named++] = server::view(DatumGetTextPP(values[i]));
  }
  const std::size_t index = rendezvous_of(*PG_GETARG_UUID_P(0), {cells, named});
  if (index == named) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text_with_len(cells[index].data(), static_cast<int>(cells[index].size())));
}

SEALCAST_FUNCTION(sealcast_own_cell) {
  if (!is_cell()) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(server::settings::cell));
}

}  // namespace sealcast::admission
