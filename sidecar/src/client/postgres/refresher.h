// Reads something from Postgres again and again. While it cannot be read, what was read last stays in force.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <string_view>

#include "base/asio.h"
#include "client/names.h"

namespace sealcast::client::postgres {

class Refresher {
 public:
  using Read = std::function<asio::awaitable<void>()>;  // may throw

  // `failure` is what the log says, under `tag`, when reading fails for the first time in a row. Both are literals.
  Refresher(asio::any_io_executor executor, std::chrono::milliseconds every, std::string_view tag,
            std::string_view failure, Read read);

  void start();
  void stop();

 private:
  asio::awaitable<void> run();

  asio::any_io_executor executor_;
  std::chrono::milliseconds every_;
  std::string_view tag_;
  std::string_view failure_;
  Read read_;
  asio::steady_timer timer_;
  bool stopped_ = false;
};

}  // namespace sealcast::client::postgres
