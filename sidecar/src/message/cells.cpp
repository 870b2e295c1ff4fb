// Reads the cells and pins from sealcast_internal.cell_map(). Finds the cell of a stream by its pin or by rendezvous
// hashing.
#include "message/cells.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "base/log.h"
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

Cells::Cells(const asio::any_io_executor& executor, postgres::Pool& pool)
    : pool_(pool),
      refresher_(executor, std::chrono::seconds(5), log::tag::kDatabase,
                 "the cells cannot be read; the last ones stay in force", [this] { return refresh(); }) {}

asio::awaitable<void> Cells::refresh() {
  enum { kCell, kUrl, kOwn, kStreamId };
  const postgres::Result rows =
      co_await pool_.query("select cell, url, own, stream_id from sealcast_internal.cell_map()");
  CellMap map;
  for (int row = 0; row < rows.size(); ++row) {
    std::optional<std::string> pinned;
    if (!rows.null(row, kStreamId)) pinned = rows.uuid(row, kStreamId);
    map.add({std::string(rows.text(row, kCell)), std::string(rows.text(row, kUrl)), rows.boolean(row, kOwn)},
            std::move(pinned));
  }
  loaded_ = true;
  if (map == map_) co_return;
  map_ = std::move(map);
  if (on_change) on_change();
}

}  // namespace sealcast::message
