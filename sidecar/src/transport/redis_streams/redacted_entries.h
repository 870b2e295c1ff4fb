// Finds the entries of a Redis stream that hold the content of redacted messages, and removes or replaces them.
//
// Redis makes the id of an entry from its own time, so the entries of a message have ids from the time of the message
// on. The search begins a minute before that time, because the clocks may differ, and reads the entries in pages, so
// that Redis serves other clients meanwhile. A message may have several entries.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "client/redis/client.h"
#include "client/redis/script.h"
#include "transport/outside/adapter.h"
#include "transport/redaction.h"

namespace sealcast::transport::redis_streams {

class RedactedEntries {
 public:
  enum class Action {
    remove,
    replace,  // the redacted frame is added at the end of the Redis stream, for consumers that have not read the entry
  };
  explicit RedactedEntries(Action action);

  // Returns Outcome::done when no entry of the Redis stream `key` holds the content any more. After another outcome,
  // the next call with the same arguments continues the search. Neither argument may change during the call.
  asio::awaitable<outside::Outcome> erase(redis::Client& client, const std::string& key, const Redaction& redaction,
                                          redis::Clock::time_point deadline);

 private:
  asio::awaitable<redis::Result> replace(redis::Client& client, const std::string& key, const Redaction& redaction,
                                         const redisReply* found, redis::Clock::time_point deadline);

  Action action_;
  redis::Script find_;
  redis::Script replace_;
  std::map<std::string, std::string> continue_at_;  // the first id of the next page, of each search that is not done
};

}  // namespace sealcast::transport::redis_streams
