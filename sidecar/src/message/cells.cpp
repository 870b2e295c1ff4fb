// Reads sealcast.cell_map().
#include "message/cells.h"

#include <chrono>
#include <utility>

#include "base/log.h"

namespace sealcast::message {

Cells::Cells(const asio::any_io_executor& executor, postgres::Pool& pool)
    : pool_(pool),
      refresher_(executor, std::chrono::seconds(5), log::tag::kDatabase,
                 "the cells cannot be read; the last ones stay in force", [this] { return refresh(); }) {}

asio::awaitable<void> Cells::refresh() {
  enum { kCell, kUrl, kOwn, kStreamId };
  const postgres::Result rows = co_await pool_.query("select cell, url, own, stream_id from sealcast.cell_map()");
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
