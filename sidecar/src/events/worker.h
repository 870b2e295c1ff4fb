// A worker: leases event partitions for its consumer group, and applies the handlers of the group to their entries.
//
// Four loops run until shut_down():
// - The first loop claims partitions (sealcast_internal.claim_partitions) and reads the list of handlers. It pauses for
//   a third of worker.lease_ms between two claims.
// - The second loop records how far the partitions are finished. It pauses for the same time.
// - The third loop watches the idle partitions for new entries.
// - The fourth loop applies late events (late_events.h). While it finds some, it does not pause.
// When the lease of a partition has ended, statements under its epoch change nothing, and the partition stops by
// itself.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/metrics.h"
#include "config/settings.h"

namespace sealcast::events {

class Worker {
 public:
  using Clock = std::chrono::steady_clock;

  // `metrics` must stay valid as long as this object.
  Worker(asio::any_io_executor executor, Metrics& metrics, const config::Settings& settings, std::string group);
  ~Worker();

  void start();
  // Lets the current batches finish, then releases the leases. From `deadline` on, it no longer waits for the batches
  // and releases the leases at once.
  asio::awaitable<void> shut_down(Clock::time_point deadline);

  // For /readyz: each returns what does not work, or an empty text.
  std::string postgres_problem() const;    // the leases are not renewed
  std::string redis_problem() const;       // there is no connection
  std::string partitions_problem() const;  // partitions make no progress

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::events
