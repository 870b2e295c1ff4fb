// Has Postgres apply events: the statements of a worker, on a few connections of their own (lanes), each statement
// under its handler's timeout.
//
// A batch that fails for what another transaction did is tried again; one that runs out of time, or fails thrice, is
// applied one by one, and an event that does so alone has failed. While Postgres is away, or the handler cannot be run,
// everything waits.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/log.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "events/entry.h"

namespace sealcast::events {

struct EventHandler {
  std::string name;
  std::string type;  // empty: all
  std::size_t batch_size;
  std::chrono::milliseconds timeout;
  Metrics::Handler metrics;

  bool wants(const Entry& entry) const { return type.empty() || entry.type() == type; }
};

// Under which lease something is applied; partition none: dead letters, which need none.
struct Lease {
  std::optional<std::int32_t> partition;
  std::int64_t epoch = 0;
};

enum class Applied {
  done,   // applied, or was before, or is not this handler's
  retry,  // it failed, or stands behind one of its sender that did
  dead,
  forged,
};

class Applier {
 public:
  struct Settings {
    std::string dsn;
    std::string group;
    std::size_t lanes;
  };

  Applier(asio::any_io_executor executor, Metrics::Worker metrics, Settings settings);
  ~Applier();

  void start();
  void stop();

  // One outcome for each entry; none: the lease is over, the handler was unregistered, or this stops. `entries` are at
  // most a batch. `apart`: on the lane of what was tried before, so that nothing new waits for it.
  asio::awaitable<std::vector<Applied>> apply(const EventHandler& handler, Lease lease,
                                              std::span<const EntryPtr> entries, bool apart);

 private:
  struct Lane {
    std::shared_ptr<postgres::Connection> connection;
    std::chrono::milliseconds timeout{0};  // that the session has; 0: not known
    bool busy = false;
  };
  enum class Trouble { none, transient, lost, lasting };  // lost: the connection, and with it the answer
  struct Attempt {
    Trouble trouble = Trouble::none;
    std::vector<Applied> outcomes;
    std::string reason;
  };

  asio::awaitable<Lane*> take_lane(bool apart);  // null: this stops
  void give_back(Lane& lane);
  asio::awaitable<Attempt> insist(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                                  bool apart);
  asio::awaitable<Attempt> attempt(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                                   bool apart);
  asio::awaitable<std::vector<Applied>> apply_alone(const EventHandler& handler, Lease lease, const EntryPtr& entry,
                                                    bool apart);
  asio::awaitable<std::optional<Applied>> fail(const EventHandler& handler, Lease lease, const Entry& entry,
                                               std::string_view reason, bool apart);
  asio::awaitable<void> pause(std::chrono::milliseconds least);
  void note_dead(const EventHandler& handler, const Entry& entry, std::string_view reason);
  void note_forged(Lease lease, const Entry& entry, std::string_view reason);

  asio::any_io_executor executor_;
  Metrics::Worker metrics_;
  Settings settings_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // the last one is for what is applied apart
  asio::steady_timer freed_;                  // expires never; cancelled when a lane is given back
  log::Throttle complaints_;
  log::Throttle forgeries_;
  std::int64_t forged_ = 0;  // since the last line of the log
  bool stopped_ = false;
};

}  // namespace sealcast::events
