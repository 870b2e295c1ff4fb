// Calls a script with EVALSHA, and with EVAL after the error NOSCRIPT.
#include "client/redis/script.h"

#include <openssl/sha.h>

#include <array>
#include <vector>

namespace sealcast::client::redis {
namespace {

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : digest) hex += {kHex[byte >> 4], kHex[byte & 15]};
  return hex;
}

}  // namespace

Script::Script(std::string_view source) : source_(source), sha1_(sha1_hex(source)) {}

asio::awaitable<Result> Script::call(Client& client, std::span<const std::string_view> keys,
                                     std::span<const std::string_view> arguments, Clock::time_point deadline) const {
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words{"EVALSHA", sha1_, count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  Result result = co_await client.call(Command(words, keys.front()), deadline);
  // NOSCRIPT comes after a restart, a failover or SCRIPT FLUSH. Nothing was executed, so it is safe to send the script
  // again.
  if (result.status == Status::error && result.text().starts_with("NOSCRIPT")) {
    words[0] = "EVAL";
    words[1] = source_;
    result = co_await client.call(Command(words, keys.front()), deadline);
  }
  co_return result;
}

}  // namespace sealcast::client::redis
