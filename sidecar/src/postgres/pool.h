// A few connections for short statements: each goes to the one with the fewest before it.
#pragma once

#include <memory>
#include <vector>

#include "postgres/connection.h"

namespace sealcast::pg {

class Pool {
 public:
  Pool(asio::any_io_executor executor, const ConnectionSettings& settings, std::size_t size);
  ~Pool();

  void start();
  void stop();
  bool connected() const;

  // Throws Error; {unavailable} at once when no connection stands.
  asio::awaitable<Result> query(const char* sql, const Params& params);

 private:
  std::vector<std::shared_ptr<Connection>> connections_;
};

}  // namespace sealcast::pg
