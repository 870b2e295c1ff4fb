// Caches whether a user may read a stream, because heartbeats and token requests come far more often than the answer
// changes.
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
  // The cache keeps an answer for at least `age` and less than twice `age`. A full cache drops old answers earlier. It
  // has at most 2 * `entries` entries. `history` must stay valid as long as this object.
  AccessCache(History& history, std::chrono::milliseconds age, std::size_t entries)
      : history_(history), answers_(2 * entries, age) {}

  // The same as History::access(), with two differences: the answer may be old, and `vip` is false for each public
  // stream. Both ids must stay valid until the call has ended.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

 private:
  asio::awaitable<StreamAccess> find_or_query(std::string key, std::string_view stream_id, std::string_view user_id);

  History& history_;
  GenerationCache<std::string, StreamAccess> answers_;
};

}  // namespace sealcast::message
