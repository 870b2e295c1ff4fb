// Applies events: calls handlers in Postgres for batches of entries, and reacts to failures.
//
// - When a handler fails for one event of a batch, sealcast_internal.apply_events() finds the event and applies the
//   others. The failed event and the later events of its sender wait in Postgres (event_attempts).
// - A statement that fails because of another transaction (a deadlock) or a lost connection is retried.
// - When the statement for a batch fails for another reason, such as its timeout, the events of the batch are applied
//   again one at a time. An event whose own statement fails too counts as failed.
// - While Postgres is unavailable, or the handler cannot be called at all, apply() waits, until finish() is called.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/conninfo.h"
#include "events/replies.h"

namespace sealcast::events {

struct EventHandler {
  std::string name;
  std::string type;  // empty: all message types
  std::size_t batch_size;
  std::chrono::milliseconds timeout;   // for one statement
  std::shared_ptr<const void> series;  // while it lives, the metrics are valid
  Metrics::Handler metrics;

  bool wants(const Entry& entry) const { return type.empty() || entry.type() == type; }
};

// The lease under which an event is applied.
struct Lease {
  std::int32_t partition;
  std::int64_t epoch;
};

// A lane is a database connection with at most one statement in flight.
enum class LaneKind {
  regular,  // for entries that were read from the partition of the lease
  retry,    // the one lane for waiting events and dead letters, separate so that they never delay new events
};

class Applier {
 public:
  // Connects `lanes` regular lanes and one retry lane to `dsn`.
  Applier(asio::any_io_executor executor, Metrics::Worker metrics, postgres::Dsn dsn, std::string group,
          std::size_t lanes);
  ~Applier();

  void start();
  void finish();  // lets the statements that are running end, and begins no further statement
  void stop();

  // Applies the entries, at most `handler.batch_size` of them. Returns true when Postgres has recorded the outcome of
  // each entry. Returns false when the lease has ended, the handler is no longer registered, or finish() was called. On
  // the retry lane, it also returns true when a failed event leaves the events behind it as they are.
  asio::awaitable<bool> apply(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                              LaneKind kind);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::events
