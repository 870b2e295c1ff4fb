// Reads the state of the database once per second: how far the relay is behind, whether new rows have a partition,
// whether the database can be written, and whether sidecars deliver to all transports. Every sidecar does this, also
// one that leads no shard.
//
// It has a connection of its own. On the relay's connection, and on those of readers, a statement may wait for a lock
// for as long as its timeout allows.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/event.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "leader/uncarried.h"

namespace sealcast::leader {

class Health {
 public:
  using Clock = std::chrono::steady_clock;

  // `timeout` limits each statement, but not above 2 s. `metrics` must stay valid as long as this object.
  Health(asio::any_io_executor executor, postgres::Dsn dsn, std::chrono::milliseconds timeout, Metrics& metrics);
  ~Health();

  void start();
  void stop();

  // Each returns a problem for /readyz, or an empty text. While Postgres does not answer, the last reading counts.
  std::string partitions_problem() const;
  std::string read_only_problem() const;
  std::string transports_problem() const { return uncarried_.problem(); }

 private:
  asio::awaitable<void> run();
  asio::awaitable<bool> read();  // returns false if the lag could not be read
  asio::awaitable<void> read_uncarried();

  asio::any_io_executor executor_;
  Metrics& metrics_;
  std::shared_ptr<postgres::Connection> connection_;
  Event stopped_;
  // The last reading of the lag. Before the first one, messages may wait since any time; the lag counts from start().
  Clock::time_point read_at_{};
  std::chrono::duration<double> lag_{0};
  bool loaded_ = false;
  std::string missing_partitions_;  // names, separated by commas
  bool read_only_ = false;
  Uncarried uncarried_;
};

}  // namespace sealcast::leader
