// One partition of a group, for as long as this worker leases it under one epoch.
//
// First what earlier leases were given and have not acknowledged, then what is new, so that a sender's events are
// applied in order. An event that fails is set aside with all that its sender says after it; they are tried again with
// growing pauses, on a lane of their own, while the partition goes on. An entry is acknowledged once every handler is
// done with it, after the commit; what is set aside is not, and goes to whoever leases the partition next.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "events/applier.h"
#include "events/group_reader.h"

namespace sealcast::events {

using EventHandlers = std::vector<std::shared_ptr<const EventHandler>>;

class Partition : public std::enable_shared_from_this<Partition> {
 public:
  using Clock = std::chrono::steady_clock;

  // The references outlive all partitions; `handlers` may be replaced at any time.
  Partition(asio::any_io_executor executor, GroupReader& reader, Applier& applier, const EventHandlers& handlers,
            std::int32_t id, std::int64_t epoch);

  void start();
  void stop();  // no further batch; what is under way ends
  bool ended() const { return ended_; }

  std::int32_t id() const { return id_; }
  std::int64_t epoch() const { return epoch_; }
  bool idle() const { return idle_; }
  void wake();
  std::size_t held() const { return held_; }

  // Up to here everything was given out.
  EntryId position() const { return position_; }
  bool finished(const EntryId& id) const {
    return reading_new_ && position_ >= id && (open_.empty() || open_.begin()->first > id);
  }

 private:
  // What is set aside: of one sender for one handler, in order.
  struct Held {
    std::shared_ptr<const EventHandler> handler;
    std::deque<EntryPtr> entries;
    int failures = 0;
    Clock::time_point due;
  };
  using HeldKey = std::pair<std::string, std::string>;  // handler, sender

  asio::awaitable<void> run();
  asio::awaitable<bool> take();
  asio::awaitable<bool> read_batch();
  asio::awaitable<void> apply(std::vector<EntryPtr> entries);
  asio::awaitable<bool> apply_to(std::shared_ptr<const EventHandler> handler, std::vector<EntryPtr> entries);
  asio::awaitable<void> retry();
  asio::awaitable<void> retry_one(HeldKey key);
  asio::awaitable<void> acknowledge();
  bool registered(const std::string& handler) const;
  void set_aside(std::shared_ptr<const EventHandler> handler, const EntryPtr& entry);
  void close(const EntryPtr& entry);
  asio::awaitable<void> pause(std::chrono::milliseconds time);

  asio::any_io_executor executor_;
  GroupReader& reader_;
  Applier& applier_;
  const EventHandlers& handlers_;
  const std::int32_t id_;
  const std::int64_t epoch_;

  bool taken_ = false;
  bool reading_new_ = false;
  EntryId after_{};     // of what earlier leases have left, read up to here
  EntryId position_{};  // delivered up to here
  std::map<EntryId, EntryPtr> open_;
  std::vector<EntryId> done_;  // to be acknowledged
  std::map<HeldKey, Held> aside_;
  std::size_t held_ = 0;
  asio::steady_timer wake_;
  asio::steady_timer retry_;
  bool idle_ = false;
  bool stopped_ = false;
  bool running_ = false, retrying_ = false;
  bool ended_ = false;
};

}  // namespace sealcast::events
