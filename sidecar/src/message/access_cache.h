// Remembers whether a user may read a stream, for requests that come far more often than the answer changes.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/generation_cache.h"
#include "message/history.h"

namespace sealcast::message {

class AccessCache {
 public:
  // An answer is used for `age` to twice `age`. The cache has at most 2 * `entries` entries. `history` outlives this.
  AccessCache(History& history, std::chrono::milliseconds age, std::size_t entries)
      : history_(history), answers_(2 * entries, age) {}

  // The same as History::access(), but the offsets may be old. Both ids outlive the call.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

 private:
  asio::awaitable<StreamAccess> find_or_query(std::string key, std::string_view stream_id, std::string_view user_id);

  History& history_;
  GenerationCache<std::string, StreamAccess> answers_;
};

}  // namespace sealcast::message
