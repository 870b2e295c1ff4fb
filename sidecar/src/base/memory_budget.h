// Counts the memory that clients make the process hold, in bytes and by class, and keeps it within one limit.
//
// Each holder, for example a connection, has a Share for each class of memory that it holds. Above the limit, the
// budget takes the class that holds the most, and makes its largest shares give up their memory. So the class that
// fills the memory pays for it, and the other classes are left alone. Among shares of about the same size, the oldest
// goes first: a client that reads and sends as it should holds its memory only for a moment.
//
// Counting takes constant time. Only shedding looks at all shares. It runs once for many changes, in a turn of the
// event loop of its own, so set() never calls back into the holder.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"

namespace sealcast {

// Requests that arrive or are in progress; answers that are not sent; pages of history for event streams that catch up;
// the newest frames of the streams with readers.
enum class MemoryClass : std::uint8_t { requests, answers, catch_up, rings };

class MemoryBudget {
 public:
  class Share;

  // `metrics` must stay valid as long as this object, and this object as long as the event loop runs and any share
  // exists.
  MemoryBudget(asio::any_io_executor executor, Metrics& metrics, std::size_t max_bytes);
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // True until enough is shed, in the next turn of the event loop. Whoever can wait until then adds nothing.
  bool shedding() const { return scheduled_; }
  // True while the limit is exceeded by memory that cannot be shed, because it is in use.
  bool exhausted() const { return threshold_ > max_bytes_ && exceeded(); }
  std::size_t held() const { return held_; }
  std::size_t held(MemoryClass of) const { return classes_[static_cast<std::size_t>(of)].held; }

 private:
  static constexpr std::size_t kClasses = 4;
  struct Class {
    explicit Class(Metrics::Memory named) : metrics(named) {}
    std::size_t held = 0;
    std::vector<Share*> shares;  // the shares that hold memory
    Metrics::Memory metrics;
    bool tried = false;  // all its shares were asked in the current pass
  };

  bool exceeded() const { return held_ > max_bytes_; }
  void schedule();
  void shed();
  void shed(Class& from, std::size_t goal);

  asio::any_io_executor executor_;
  std::size_t max_bytes_;
  std::size_t threshold_;  // above it, shares are shed: the limit, or more than could not be shed the last time
  std::size_t held_ = 0;
  std::uint64_t next_age_ = 0;
  bool scheduled_ = false;
  std::array<Class, kClasses> classes_;
  std::vector<Share*> candidates_;  // of the current pass; null: its share holds nothing any more
};

// The memory of one holder in one class.
class MemoryBudget::Share {
 public:
  // `shed` is called to free the memory. It calls set() with the bytes that stay: bytes that other code still uses.
  // It may destroy this share and others.
  Share(MemoryBudget& budget, MemoryClass of, std::function<void()> shed);
  ~Share() { set(0); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  void set(std::size_t bytes);
  std::size_t bytes() const { return bytes_; }

 private:
  friend class MemoryBudget;
  void enter();
  void leave();

  MemoryBudget& budget_;
  Class& class_;
  std::function<void()> shed_;
  std::size_t bytes_ = 0;
  std::uint64_t age_ = 0;  // grows with the time at which the share began to hold memory
  std::size_t index_ = 0;  // in Class::shares
  static constexpr std::size_t kNone = ~std::size_t{0};
  std::size_t candidate_ = kNone;  // the index in candidates_
};

}  // namespace sealcast
