// Repeats a tick beside relaying for the shards that this sidecar leads, on a database connection of its own.
//
// The statements of a tick carry the epochs of the leases. So a sidecar that was frozen and lost its leases changes
// nothing when it wakes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "client/postgres/connection.h"
#include "transport/transport.h"

namespace sealcast::leader {

// The shards that this sidecar leads at the beginning of a tick, and the epochs of their leases.
struct LedShards {
  std::vector<std::int32_t> shards;
  std::vector<std::int64_t> epochs;

  bool has(std::string_view stream_id) const;   // a lower-case UUID
  void add_to(postgres::Params& params) const;  // as two arrays
};

class LeaderLoop {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kSecond{1000};

  // Also called while no shard is led. Returns the pause before the next tick. May throw postgres::Error.
  using Tick = std::function<asio::awaitable<Milliseconds>(const LedShards& led)>;
  using Leads = std::function<std::span<const transport::Lead>()>;

  struct Parts {
    std::string dsn;
    std::string name;      // of the connection, for the log
    Milliseconds timeout;  // of a statement
    std::string_view log_tag;
    std::string_view failure;      // log message when Postgres refuses a statement
    Milliseconds retry = kSecond;  // pause after a refused statement
    Leads leads;                   // returns the shards that this sidecar leads now
    Tick tick;
  };

  LeaderLoop(asio::any_io_executor executor, Parts parts);
  ~LeaderLoop();

  void start();
  void stop();

  LedShards led() const;
  postgres::Connection& connection() { return *connection_; }

 private:
  asio::awaitable<void> run();
  asio::awaitable<Milliseconds> run_tick();

  asio::any_io_executor executor_;
  Parts parts_;
  std::shared_ptr<postgres::Connection> connection_;
  Event stopped_;
};

}  // namespace sealcast::leader
