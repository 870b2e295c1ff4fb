// A worker: leases partitions of its group, and applies the group's handlers to what they hold.
//
// Every third of a lease it claims (sealcast.claim_partitions) and reads which handlers there are. Beside that it
// records how far its partitions are finished, and has dead letters tried again that somebody wants replayed. A
// partition that it leases no longer ends by itself: no statement under its epoch changes anything.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "config/settings.h"
#include "events/partition.h"

namespace sealcast::events {

class Worker {
 public:
  using Clock = std::chrono::steady_clock;

  // `metrics` outlives this.
  Worker(asio::any_io_executor executor, Metrics& metrics, const config::Settings& settings, std::string group);

  void start();
  // Ends what is under way, gives the leases up. Gives up at `deadline`.
  asio::awaitable<void> finish(Clock::time_point deadline);

 private:
  struct Checkpoint {
    EntryId newest;         // when this is finished,
    std::int64_t finished;  // so is everything relayed before it
  };

  asio::awaitable<void> lead();
  asio::awaitable<void> keep();
  asio::awaitable<void> watch();
  asio::awaitable<void> read_handlers();
  asio::awaitable<void> claim();
  asio::awaitable<void> record();
  asio::awaitable<void> replay();
  void complain(const postgres::Error& error);
  asio::awaitable<void> until_next(asio::steady_timer& timer);
  void take_claim(const postgres::Result& rows);

  asio::any_io_executor executor_;
  Metrics& metrics_;
  Metrics::Worker counts_;
  const std::string group_;
  const std::string holder_;
  const std::chrono::milliseconds lease_;
  std::shared_ptr<postgres::Connection> connection_;
  GroupReader reader_;
  Applier applier_;
  EventHandlers handlers_;
  std::map<std::int32_t, std::shared_ptr<Partition>> partitions_;
  std::vector<std::shared_ptr<Partition>> ending_;
  std::map<std::int32_t, Checkpoint> checkpoints_;
  std::int64_t losses_ = 0;  // of Redis, when the checkpoints were made
  asio::steady_timer lead_timer_;
  asio::steady_timer keep_timer_;
  log::Throttle complaints_;
  bool warned_ = false;  // that there are no handlers
  bool finishing_ = false;
  int loops_ = 0;  // that run
};

}  // namespace sealcast::events
