// A worker: leases event partitions of its group, and applies the handlers of the group to their entries.
//
// Three loops run until shut_down():
// - Every third of a lease, the worker claims partitions (sealcast.claim_partitions) and reads the list of handlers.
// - Every third of a lease, it records how far its partitions are finished, and replays dead letters on request.
// - It watches the idle partitions for new entries.
// A partition whose lease has ended stops by itself: no statement under its epoch changes anything.
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

  // `metrics` outlives this.
  Worker(asio::any_io_executor executor, Metrics& metrics, const config::Settings& settings, std::string group);
  ~Worker();

  void start();
  // Finishes the current batches and releases the leases. Gives up waiting at `deadline`.
  asio::awaitable<void> shut_down(Clock::time_point deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::events
