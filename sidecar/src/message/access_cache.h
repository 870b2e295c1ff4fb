// Who may read a stream, remembered for a while: for what is asked far more often than it changes. Bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/asio.h"
#include "message/history.h"

namespace sealcast::message {

class AccessCache {
 public:
  using Clock = std::chrono::steady_clock;

  // An answer is used for `age` to twice that. `history` outlives this.
  AccessCache(History& history, std::chrono::milliseconds age, std::size_t entries)
      : history_(history), age_(age), entries_(entries) {}

  // As History::access(), but its offsets may be old. Both outlive the call.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

 private:
  asio::awaitable<StreamAccess> look_up(std::string key, std::string_view stream_id, std::string_view user_id);

  History& history_;
  const std::chrono::milliseconds age_;
  const std::size_t entries_;
  // Two generations: what was asked last, and what before. When the one is full or old, it takes the other's place.
  std::unordered_map<std::string, StreamAccess> recent_;
  std::unordered_map<std::string, StreamAccess> older_;
  Clock::time_point turn_{};
};

}  // namespace sealcast::message
