// Finds the cell that a stream belongs to, by the tables cells and cell_pins (docs/cells.md).
#pragma once

#include "server/index_lookup.h"

namespace sealcast::admission {

// A row of cells.
struct Cell {
  const char* name;
  const char* url;
};

// Returns whether this database is one of several cells. If not, nothing below is needed.
bool is_cell();

// Takes an ACCESS SHARE lock on cell_pins. Call it before taking the snapshot with which cells are read. An operator
// who moves a stream locks cell_pins in ACCESS EXCLUSIVE mode and pins the stream. When that lock is granted, all
// earlier admissions have ended. Later admissions see the pin.
void lock_pins();

// Looks up the cells of streams, with the active snapshot. The class is trivially destructible. The cells are allocated
// in the memory context that is current at open().
class Cells {
 public:
  static Cells open();
  void close();

  // Returns the cell that the stream belongs to; null if it is this one.
  const Cell* other_cell_of(const pg_uuid_t& stream_id);

 private:
  std::size_t index_of_cell(const pg_uuid_t& stream_id);  // count_: no cell

  Cell* cells_;
  std::string_view* names_;
  std::size_t count_;
  server::IndexLookup pins_;
  int pinned_cell_;
};

}  // namespace sealcast::admission
