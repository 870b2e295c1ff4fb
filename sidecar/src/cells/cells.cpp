// Reads sealcast.cell_map().
#include "cells/cells.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "log/log.h"

namespace sealcast {

void Cells::start() { asio::co_spawn(executor_, run(), asio::detached); }

void Cells::stop() {
  stopped_ = true;
  timer_.cancel();
}

asio::awaitable<void> Cells::run() {
  bool failing = false;
  while (!stopped_) {
    try {
      co_await refresh();
      failing = false;
    } catch (const pg::Error& error) {
      if (!std::exchange(failing, true)) {
        log::write(log::Level::warn, log::tag::kDatabase, "the cells cannot be read; the last ones stay in force",
                   {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
      }
    }
    timer_.expires_after(kRefresh);
    boost::system::error_code ignored;
    if (!stopped_) co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<void> Cells::refresh() {
  enum { kCell, kUrl, kOwn, kStreamId };
  const pg::Result rows = co_await pool_.query("select cell, url, own, stream_id from sealcast.cell_map()");
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

}  // namespace sealcast
