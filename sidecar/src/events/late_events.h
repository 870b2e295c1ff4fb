// Applies late events: failed events whose pause has ended, the events that wait behind them, and dead letters that an
// operator has marked for replay.
//
// Late events are in Postgres, and are applied on the retry lane, so they delay no new events. The worker that leases
// partition 0 applies those of its group, so two workers do not try the same event at the same time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "events/applier.h"
#include "events/leased_partition.h"

namespace sealcast::events {

class LateEvents {
 public:
  enum class Next {
    at_once,  // a page was applied, and there may be another one
    soon,     // events wait for the end of their pause
    later,    // nothing waits
  };

  // The arguments must stay valid as long as this object. The content of `handlers` may change at any time.
  LateEvents(std::shared_ptr<postgres::Connection> connection, Applier& applier, const EventHandlers& handlers,
             const std::string& group, Metrics::Worker& metrics);

  // Applies a page of waiting events, then a page of dead letters, under the lease of partition 0. Throws
  // postgres::Error when a page cannot be read.
  asio::awaitable<Next> apply_pages(Lease lease);

 private:
  // `size` is the second parameter of `query`. Returns what apply_rows() returns.
  asio::awaitable<bool> apply_page(const char* query, std::int32_t size, Lease lease);
  asio::awaitable<bool> apply_rows(const postgres::Result& rows, Lease lease);

  std::shared_ptr<postgres::Connection> connection_;
  Applier& applier_;
  const EventHandlers& handlers_;
  const std::string& group_;
  Metrics::Worker& metrics_;
};

}  // namespace sealcast::events
