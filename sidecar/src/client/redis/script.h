// A Lua script: called by its digest, and sent whole when the server does not know it (any more).
#pragma once

#include <string>

#include "base/asio.h"
#include "client/redis/client.h"

namespace sealcast::client::redis {

class Script {
 public:
  // `source` must outlive the script.
  explicit Script(std::string_view source);

  std::string_view source() const { return source_; }
  std::string_view sha1() const { return sha1_; }  // in hex digits, for EVALSHA

  // All keys must be in the slot of the first key. Keys and arguments must outlive the call.
  asio::awaitable<Result> call(Client& client, std::span<const std::string_view> keys,
                               std::span<const std::string_view> arguments, Clock::time_point deadline) const;

 private:
  std::string_view source_;
  std::string sha1_;
};

}  // namespace sealcast::client::redis
