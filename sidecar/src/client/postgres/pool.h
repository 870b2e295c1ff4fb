// A few connections for short statements: each goes to the one with the fewest before it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/asio.h"
#include "client/postgres/connection.h"

namespace sealcast::client::postgres {

class Pool {
 public:
  Pool(asio::any_io_executor executor, const ConnectionSettings& settings, std::size_t size);
  ~Pool();

  void start();
  void stop();
  bool connected() const;

  // Called on the event loop after each connect of any of them.
  std::function<void()> on_connect;

  // Throws Error; {unavailable} at once when no connection stands.
  asio::awaitable<Result> query(const char* sql, const Params& params = kNoParams);

 private:
  std::vector<std::shared_ptr<Connection>> connections_;
};

}  // namespace sealcast::client::postgres
