// Which cell a stream belongs to, as the tables cells and cell_pins say (docs/cells.md).
#pragma once

#include "server/index_lookup.h"

namespace sealcast::admission {

// A row of cells.
struct Cell {
  const char* name;
  const char* url;
};

// Whether this database is one of several cells. If not, nothing below is needed.
bool is_cell();

// To be called before the snapshot is taken that cells are read with. Whoever pins streams elsewhere under an ACCESS
// EXCLUSIVE lock on cell_pins then knows: what began before has ended, what comes later sees the pin.
void hold_pins();

// Reads with the active snapshot; trivially destructible. What it hands out lives in the memory of open().
class Cells {
 public:
  static Cells open();
  void close();

  // The cell that the stream belongs to; null when it is this one.
  const Cell* elsewhere(const pg_uuid_t& stream_id);

 private:
  std::size_t place_of(const pg_uuid_t& stream_id);  // count_ when there are no cells

  Cell* cells_;
  std::string_view* names_;
  std::size_t count_;
  server::IndexLookup pins_;
  int pinned_;
};

}  // namespace sealcast::admission
