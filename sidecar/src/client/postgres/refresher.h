// Re-reads a table periodically. While the table cannot be read, the last content stays in use.
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
  using Read = std::function<asio::awaitable<void>()>;  // throws when the table cannot be read

  // Calls `read` at start(), and again after each pause of `every`. Logs the message `failure` under `tag` when a read
  // fails and the read before it did not. The refresher does not copy these two texts, so they should be string
  // literals.
  Refresher(asio::any_io_executor executor, std::chrono::milliseconds every, std::string_view tag,
            std::string_view failure, Read read);

  void start();
  // Begins no further read. A read in progress continues, and the refresher must exist until this read has ended.
  void stop();

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
