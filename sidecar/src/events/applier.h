// Applies events: calls handlers in Postgres for batches of entries, and reacts to failures.
//
// - When a handler fails for one event of a batch, sealcast_internal.apply_events() finds the event and applies the
// others.
// - A statement that fails because of another transaction (a deadlock) or a lost connection is retried.
// - When the statement for a batch fails for another reason, such as its timeout, the events of the batch are applied
//   again one at a time. An event whose own statement fails too counts as failed.
// - While Postgres is unavailable, or the handler cannot be called at all, apply() waits.
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
#include "client/postgres/conninfo.h"
#include "events/replies.h"

namespace sealcast::events {

struct EventHandler {
  std::string name;
  std::string type;  // empty: all message types
  std::size_t batch_size;
  std::chrono::milliseconds timeout;  // for one statement
  Metrics::Handler metrics;

  bool wants(const Entry& entry) const { return type.empty() || entry.type() == type; }
};

// The lease under which an event is applied. A replayed dead letter has no lease: its `partition` is empty.
struct Lease {
  std::optional<std::int32_t> partition;
  std::int64_t epoch = 0;
};

enum class Applied {
  done,    // the event was applied now or before, or its type is not for this handler
  retry,   // the event failed, or an earlier event of its sender failed; it must be applied again
  dead,    // the handler gave the event up, and it is a dead letter now
  forged,  // the entry is no message of Sealcast; it was recorded as a dead letter
};

// A lane is a database connection with at most one statement in flight.
enum class LaneKind {
  regular,
  retry,  // the one lane for retries, separate so that retries never delay new events
};

class Applier {
 public:
  // Connects `lanes` regular lanes and one retry lane to `dsn`.
  Applier(asio::any_io_executor executor, Metrics::Worker metrics, postgres::Dsn dsn, std::string group,
          std::size_t lanes);
  ~Applier();

  void start();
  void stop();

  // Applies the entries, at most `handler.batch_size` of them. Returns one outcome per entry. Returns an empty vector
  // when the lease has ended, the handler is no longer registered, or stop() was called.
  asio::awaitable<std::vector<Applied>> apply(const EventHandler& handler, Lease lease,
                                              std::span<const EntryPtr> entries, LaneKind kind);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::events
