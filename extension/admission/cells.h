// Finds the cell that a stream belongs to, by the tables cells and cell_pins (docs/cells.md). A cell is one database
// with its sidecars that holds a share of the streams.
#pragma once

#include "server/index_lookup.h"

namespace sealcast::admission {

// A row of cells.
struct Cell {
  const char* name;
  const char* url;
};

// Returns whether this database is one of several cells, that is, whether sealcast.cell is set. If it is not set, every
// stream belongs to this database, and no stream needs a look-up.
bool is_cell();

// Takes an ACCESS SHARE lock on cell_pins, if this database is a cell. Call it before taking the snapshot with which
// the pins are read. An operator who moves a stream locks cell_pins in ACCESS EXCLUSIVE mode and pins the stream. When
// that lock is granted, all earlier admissions have ended. Later admissions see the pin.
void lock_pins();

// Looks up the cells of streams, with the active snapshot. The class is trivially destructible, because after an error
// no destructor runs. The Cell objects are allocated in the memory context that is current at open().
class Cells {
 public:
  static Cells open();
  void close();

  // Returns the cell that the stream belongs to. Returns null if that is this database, or if the table cells has no
  // row for it.
  const Cell* other_cell_of(const pg_uuid_t& stream_id);

 private:
  // Returns the index of the stream's cell in cells_, or count_ if the table cells has no row for it.
  std::size_t index_of_cell(const pg_uuid_t& stream_id);

  Cell* cells_;
  std::string_view* names_;
  std::size_t count_;
  server::IndexLookup pins_;
  int pinned_cell_;
};

}  // namespace sealcast::admission
