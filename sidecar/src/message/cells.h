// Finds out whether a stream is in another cell, and at which URL (docs/cells.md).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "client/postgres/pool.h"
#include "client/postgres/refresher.h"

namespace sealcast::message {

struct Cell {
  std::string name;
  std::string url;  // the origin of its sidecars, for example https://a.example
  bool own;         // the cell of this sidecar

  bool operator==(const Cell&) const = default;
};

// The content of sealcast_internal.cell_map(): all cells and all pins.
class CellMap {
 public:
  // A row without a stream adds a cell. A row with a stream pins that stream to the cell.
  void add(Cell cell, std::optional<std::string> stream_id);

  // Returns the cell that has the stream. Returns null if the sidecar's own cell has the stream, or if there are no
  // cells. `stream_id` is a lower-case UUID.
  const Cell* elsewhere(const std::string& stream_id) const;

  bool operator==(const CellMap& other) const { return cells_ == other.cells_ && pins_ == other.pins_; }

 private:
  std::vector<Cell> cells_;
  std::unordered_map<std::string, Cell> pins_;
};

// Reads the map from Postgres every 5 seconds.
class Cells {
 public:
  // `pool` must stay valid as long as this object.
  Cells(const asio::any_io_executor& executor, postgres::Pool& pool);

  void start() { refresher_.start(); }
  void stop() { refresher_.stop(); }
  bool loaded() const { return loaded_; }  // the map was read at least once

  // The same as CellMap::elsewhere(). The pointer is valid until the calling coroutine suspends: a refresh then may
  // replace the map.
  const Cell* elsewhere(const std::string& stream_id) const { return map_.elsewhere(stream_id); }

  // Called after a refresh that changed the map, because streams may have moved to another cell.
  std::function<void()> on_change;

 private:
  asio::awaitable<void> refresh();

  postgres::Pool& pool_;
  CellMap map_;
  bool loaded_ = false;
  postgres::Refresher refresher_;
};

}  // namespace sealcast::message
