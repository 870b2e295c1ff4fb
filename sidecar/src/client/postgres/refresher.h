// Re-reads a table periodically. While the table cannot be read, the last content stays in force.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <string_view>

#include "base/asio.h"
#include "base/event.h"
#include "client/names.h"

namespace sealcast::client::postgres {

class Refresher {
 public:
  using Read = std::function<asio::awaitable<void>()>;  // may throw

  // Logs `failure` under `tag` when a read fails and the read before it did not. Both texts must be literals.
  Refresher(asio::any_io_executor executor, std::chrono::milliseconds every, std::string_view tag,
            std::string_view failure, Read read);

  void start();
  void stop();  // a read in progress is not interrupted; the refresher must outlive it

 private:
  asio::awaitable<void> run();

  asio::any_io_executor executor_;
  std::chrono::milliseconds every_;
  std::string_view tag_;
  std::string_view failure_;
  Read read_;
  Event stopped_;
};

}  // namespace sealcast::client::postgres
