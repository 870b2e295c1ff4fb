// The leader loop: calls a tick function periodically, in general every second, for the shards that this sidecar leads.
// Sampling, switching and viewer counts are such tick functions. Each loop has its own database connection, apart from
// the relay's.
//
// The statements of a tick contain the epochs of the leases, and Postgres compares them. So a sidecar that was frozen
// and lost its leases changes nothing when it wakes.
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

// The shards that this sidecar leads at the beginning of a tick, and the epochs of their leases in the same order.
struct LedShards {
  std::vector<std::int32_t> shards;
  std::vector<std::int64_t> epochs;

  bool has(std::string_view stream_id) const;   // true if the stream is in one of the shards
  void add_to(postgres::Params& params) const;  // adds two parameters: the arrays of shards and of epochs
};

class LeaderLoop {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kSecond{1000};

  // Does one tick and returns the pause before the next one. Is also called while this sidecar leads no shard. May
  // throw postgres::Error; the loop then continues.
  using Tick = std::function<asio::awaitable<Milliseconds>(const LedShards& led)>;
  using Leads = std::function<std::span<const transport::Lead>()>;

  struct Parts {
    postgres::Dsn dsn;
    std::string name;      // name of the database connection, for the log
    Milliseconds timeout;  // of each statement
    std::string_view log_tag;
    std::string_view failure;      // text of the log message after a refused statement
    Milliseconds retry = kSecond;  // pause after a refused statement; after a transient error at most kSecond
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
