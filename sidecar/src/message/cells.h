// The cells as Postgres has them, read every few seconds. Without cells all this costs is that query.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "base/asio.h"
#include "client/postgres/pool.h"
#include "client/postgres/refresher.h"
#include "message/cell_map.h"

namespace sealcast::message {

class Cells {
 public:
  // `pool` outlives this.
  Cells(const asio::any_io_executor& executor, postgres::Pool& pool);

  void start() { refresher_.start(); }
  void stop() { refresher_.stop(); }
  bool loaded() const { return loaded_; }  // they were read at least once

  // See CellMap. What it points to is valid until the caller next suspends.
  const Cell* elsewhere(const std::string& stream_id) const { return map_.elsewhere(stream_id); }

  // Called when some streams may have gone elsewhere.
  std::function<void()> on_change;

 private:
  asio::awaitable<void> refresh();

  postgres::Pool& pool_;
  CellMap map_;
  bool loaded_ = false;
  postgres::Refresher refresher_;
};

}  // namespace sealcast::message
