// Looks for an answer in the cache. If there is none, asks the history and caches its answer.
#include "message/access_cache.h"

#include <utility>

namespace sealcast::message {

asio::awaitable<StreamAccess> AccessCache::access(std::string_view stream_id, std::string_view user_id) {
  // Every user may read a public stream, so one cache entry serves all users of it.
  StreamAccess answer = co_await find_or_query(std::string(stream_id), stream_id, {});
  if (answer.found && !answer.readable && !user_id.empty()) {
    answer = co_await find_or_query(std::string(stream_id) + std::string(user_id), stream_id, user_id);
  }
  co_return answer;
}

asio::awaitable<StreamAccess> AccessCache::find_or_query(std::string key, std::string_view stream_id,
                                                         std::string_view user_id) {
  answers_.expire(std::chrono::steady_clock::now());
  if (const StreamAccess* known = answers_.find(key)) co_return *known;
  const StreamAccess answer = co_await history_.access(stream_id, user_id);
  answers_.put(std::move(key), answer);
  co_return answer;
}

}  // namespace sealcast::message
