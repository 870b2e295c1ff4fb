// The cells as Postgres has them, read every few seconds. Without cells all this costs is that query.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <string>

#include "cells/cell_map.h"
#include "postgres/pool.h"

namespace sealcast {

namespace asio = boost::asio;

class Cells {
 public:
  // `pool` outlives this.
  Cells(const asio::any_io_executor& executor, pg::Pool& pool) : executor_(executor), pool_(pool), timer_(executor) {}

  void start();
  void stop();
  bool loaded() const { return loaded_; }  // they were read at least once

  // See CellMap. What it points to is valid until the caller next suspends.
  const Cell* elsewhere(const std::string& stream_id) const { return map_.elsewhere(stream_id); }

  // Called when some streams may have gone elsewhere.
  std::function<void()> on_change;

 private:
  static constexpr std::chrono::seconds kRefresh{5};

  asio::awaitable<void> run();
  asio::awaitable<void> refresh();

  asio::any_io_executor executor_;
  pg::Pool& pool_;
  CellMap map_;
  asio::steady_timer timer_;
  bool loaded_ = false;
  bool stopped_ = false;
};

}  // namespace sealcast
