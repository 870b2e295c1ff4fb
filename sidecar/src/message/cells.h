// Knows which streams other cells have (docs/cells.md).
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
  std::string url;  // an origin
  bool own;         // the cell of this sidecar

  bool operator==(const Cell&) const = default;
};

// The rows of sealcast.cell_map().
class CellMap {
 public:
  // A row without a stream adds a cell. A row with a stream pins that stream to the cell.
  void add(Cell cell, std::optional<std::string> stream_id);

  // The cell that has the stream; null if this cell has it, or if there are no cells. `stream_id` is lower-case.
  const Cell* elsewhere(const std::string& stream_id) const;

  bool operator==(const CellMap& other) const { return cells_ == other.cells_ && pins_ == other.pins_; }

 private:
  std::vector<Cell> cells_;
  std::unordered_map<std::string, Cell> pins_;
};

// Reads the map from Postgres every 5 seconds.
class Cells {
 public:
  // `pool` outlives this.
  Cells(const asio::any_io_executor& executor, postgres::Pool& pool);

  void start() { refresher_.start(); }
  void stop() { refresher_.stop(); }
  bool loaded() const { return loaded_; }  // the map was read at least once

  // See CellMap. The result is valid until the caller suspends.
  const Cell* elsewhere(const std::string& stream_id) const { return map_.elsewhere(stream_id); }

  // Called when the map has changed: some streams may have moved to another cell.
  std::function<void()> on_change;

 private:
  asio::awaitable<void> refresh();

  postgres::Pool& pool_;
  CellMap map_;
  bool loaded_ = false;
  postgres::Refresher refresher_;
};

}  // namespace sealcast::message
