// A Lua script for Redis. The client calls it by its SHA-1 digest. It sends the whole source only when the server does
// not know the script, or has lost it.
#pragma once

#include <string>

#include "base/asio.h"
#include "client/redis/client.h"

namespace sealcast::client::redis {

class Script {
 public:
  // `source` must stay valid as long as this object.
  explicit Script(std::string_view source);

  std::string_view source() const { return source_; }
  std::string_view sha1() const { return sha1_; }  // in hex digits, for EVALSHA

  // There must be at least one key. In a cluster, all keys must be in the slot of the first key. `keys` and `arguments`
  // must stay valid until the call returns its result.
  asio::awaitable<Result> call(Client& client, std::span<const std::string_view> keys,
                               std::span<const std::string_view> arguments, Clock::time_point deadline) const;

 private:
  std::string_view source_;
  std::string sha1_;
};

}  // namespace sealcast::client::redis
