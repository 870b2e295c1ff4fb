// What the leader of shards does again and again beside relaying: a tick a second, with a database connection of its
// own, under the epochs of the leases. Statements look at these epochs, so that a sidecar that was frozen changes
// nothing.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "client/postgres/connection.h"
#include "transport/transport.h"

namespace sealcast::leader {

// What this sidecar leads at the beginning of a tick.
struct LedShards {
  std::vector<std::int32_t> shards;
  std::vector<std::int64_t> epochs;

  bool has(std::string_view stream_id) const;   // a lower-case UUID
  void add_to(postgres::Params& params) const;  // as two arrays
};

struct LeaderLoopSettings {
  std::string dsn;
  std::string name;                   // of the connection, for the log
  std::chrono::milliseconds timeout;  // of a statement
  std::string_view log_tag;
  std::string_view failure;  // what the log says when a tick fails; the next one tries again
};

class LeaderLoop {
 public:
  using Tick = std::function<asio::awaitable<void>(const LedShards& led)>;  // may throw postgres::Error
  using Leads = std::function<std::span<const transport::Lead>()>;

  LeaderLoop(asio::any_io_executor executor, LeaderLoopSettings settings, Leads leads, Tick tick);
  ~LeaderLoop();

  void start();
  void stop();

  LedShards led() const;
  postgres::Connection& connection() { return *connection_; }

 private:
  static constexpr std::chrono::seconds kEvery{1};

  asio::awaitable<void> run();

  asio::any_io_executor executor_;
  LeaderLoopSettings settings_;
  Leads leads_;
  Tick tick_;
  std::shared_ptr<postgres::Connection> connection_;
  asio::steady_timer timer_;
  bool stopping_ = false;
};

}  // namespace sealcast::leader
