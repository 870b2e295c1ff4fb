// The handlers that the workers of a group apply, as Postgres has them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "events/leased_partition.h"

namespace sealcast::events {

class GroupHandlers {
 public:
  // `metrics` must stay valid as long as this object.
  GroupHandlers(Metrics& metrics, std::string group) : metrics_(metrics), group_(std::move(group)) {}

  // Reads the handlers from Postgres. Throws postgres::Error.
  asio::awaitable<void> read(postgres::Connection& connection);
  // The handlers of the last read(). The reference stays valid.
  const EventHandlers& list() const { return handlers_; }
  // Returns the longest timeout of a handler; 0: there is no handler.
  std::chrono::milliseconds longest_timeout() const;

 private:
  std::shared_ptr<const void> series_of(const std::string& handler);

  Metrics& metrics_;
  const std::string group_;
  EventHandlers handlers_;
  std::map<std::string, std::weak_ptr<const void>, std::less<>> series_;  // in the metrics
  const std::shared_ptr<int> alive_ = std::make_shared<int>();            // a coroutine may outlive this object
  bool warned_of_no_handlers_ = false;
};

}  // namespace sealcast::events
