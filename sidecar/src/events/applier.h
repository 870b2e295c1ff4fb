// Applies events: calls handlers in Postgres for batches of entries, and decides what follows a failure.
//
// - A statement that fails because of another transaction (a deadlock) or a lost connection is retried.
// - A batch that times out or fails otherwise is applied again one event at a time. An event that then fails alone has
//   failed.
// - While Postgres is unavailable, or the handler cannot be called at all, everything waits.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "events/replies.h"

namespace sealcast::events {

struct EventHandler {
  std::string name;
  std::string type;  // empty: all message types
  std::size_t batch_size;
  std::chrono::milliseconds timeout;  // of one statement
  Metrics::Handler metrics;

  bool wants(const Entry& entry) const { return type.empty() || entry.type() == type; }
};

// The lease under which an event is applied. Dead letters are applied without a lease.
struct Lease {
  std::optional<std::int32_t> partition;
  std::int64_t epoch = 0;
};

enum class Applied {
  done,    // applied now or before, or not an event for this handler
  retry,   // failed, or an earlier event of the same sender failed
  dead,    // a dead letter now
  forged,  // not a message of ours: recorded as a dead letter
};

// A lane is a database connection with at most one statement in flight.
enum class LaneKind {
  regular,
  retry,  // one separate lane: retries never delay new events
};

class Applier {
 public:
  // Connects `lanes` regular lanes and one retry lane to `dsn`.
  Applier(asio::any_io_executor executor, Metrics::Worker metrics, std::string dsn, std::string group,
          std::size_t lanes);
  ~Applier();

  void start();
  void stop();

  // Applies at most one batch of `handler`. Returns one outcome per entry; none when the lease has ended, the handler
  // is no longer registered, or stop() was called.
  asio::awaitable<std::vector<Applied>> apply(const EventHandler& handler, Lease lease,
                                              std::span<const EntryPtr> entries, LaneKind kind);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::events
