// The two generations.
#include "message/access_cache.h"

#include <utility>

namespace sealcast::message {

asio::awaitable<StreamAccess> AccessCache::access(std::string_view stream_id, std::string_view user_id) {
  // What nobody in particular may read needs no entry a user.
  StreamAccess found = co_await look_up(std::string(stream_id), stream_id, {});
  if (found.found && !found.readable && !user_id.empty()) {
    found = co_await look_up(std::string(stream_id) + std::string(user_id), stream_id, user_id);
  }
  co_return found;
}

asio::awaitable<StreamAccess> AccessCache::look_up(std::string key, std::string_view stream_id,
                                                   std::string_view user_id) {
  const auto now = Clock::now();
  if (now >= turn_ || recent_.size() >= entries_) {
    // Nobody asked for a whole age: what is here is as old as what was to go.
    if (now >= turn_ + age_) recent_.clear();
    older_ = std::exchange(recent_, {});
    turn_ = now + age_;
  }
  for (const auto* generation : {&recent_, &older_}) {
    if (const auto known = generation->find(key); known != generation->end()) co_return known->second;
  }
  const StreamAccess asked = co_await history_.access(stream_id, user_id);
  recent_[std::move(key)] = asked;
  co_return asked;
}

}  // namespace sealcast::message
