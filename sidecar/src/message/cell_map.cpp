// A look-up of pins, and a hash for each cell.
#include "message/cell_map.h"

#include <utility>

#include "core/cell.h"

namespace sealcast::message {

void CellMap::add(Cell cell, std::optional<std::string> stream_id) {
  if (stream_id) {
    pins_.insert_or_assign(std::move(*stream_id), std::move(cell));
  } else {
    cells_.push_back(std::move(cell));
  }
}

const Cell* CellMap::elsewhere(const std::string& stream_id) const {
  if (cells_.empty()) return nullptr;
  const auto pin = pins_.find(stream_id);
  const Cell* cell = pin == pins_.end() ? nullptr : &pin->second;
  if (cell == nullptr) {
    std::vector<std::string_view> names;
    names.reserve(cells_.size());
    for (const Cell& candidate : cells_) names.push_back(candidate.name);
    cell = &cells_[core::rendezvous(stream_id, names)];
  }
  return cell->own ? nullptr : cell;
}

}  // namespace sealcast::message
