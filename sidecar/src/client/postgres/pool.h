// A few connections for short statements. Each statement goes to the connection with the shortest queue.
//
// Deadlines, errors and reconnecting are those of each connection (connection.h).
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
  bool connected() const;  // at least one connection is

  // Called on the event loop after each connect of any connection.
  std::function<void()> on_connect;

  // Throws Error, and Error{unavailable} at once when no connection is connected.
  asio::awaitable<Result> query(const char* sql, const Params& params = kNoParams);

 private:
  std::vector<std::shared_ptr<Connection>> connections_;
};

}  // namespace sealcast::client::postgres
