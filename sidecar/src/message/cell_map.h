// Which streams other cells have (docs/cells.md), computed here: the rows of sealcast.cell_map().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sealcast::message {

struct Cell {
  std::string name;
  std::string url;  // an origin
  bool own;         // the one this sidecar stands beside

  bool operator==(const Cell&) const = default;
};

class CellMap {
 public:
  // A row without a stream is a cell, one with a stream is a stream that is pinned there.
  void add(Cell cell, std::optional<std::string> stream_id);

  // The cell that has the stream; null when it is this one, or there are no cells. `stream_id` is lower-case.
  const Cell* elsewhere(const std::string& stream_id) const;

  bool operator==(const CellMap& other) const { return cells_ == other.cells_ && pins_ == other.pins_; }

 private:
  std::vector<Cell> cells_;
  std::unordered_map<std::string, Cell> pins_;
};

}  // namespace sealcast::message
