// Tokens of readers for services outside: each lets its holder read one channel there for a while, and nothing else.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "transport/frame.h"

namespace sealcast::transport {

struct TransportToken {
  std::string channel_id;  // the service's name for the stream's channel
  std::string token;       // as JSON
  std::string url;         // where readers connect to; empty: they know
};

// What a token is to say.
struct TokenClaims {
  std::string_view stream_id;
  Channel channel;
  std::string_view user_id;  // empty: nobody in particular
  std::int64_t now_ms;       // Unix
  std::chrono::seconds life;
};

class TokenMaker {
 public:
  virtual ~TokenMaker() = default;
  // Null when the service does not get that channel.
  virtual std::optional<TransportToken> make(const TokenClaims& claims) const = 0;
};

// What a service calls the channels of a stream.
class ChannelNames {
 public:
  struct Pattern {
    std::string setting;
    std::string text;  // with {stream_id} in it; empty: there is no such channel
  };
  struct Name {
    std::string text;
    std::string json;  // with its quotes
  };

  // Throws SettingsError when one is not UTF-8.
  ChannelNames(Pattern everyone, Pattern vip);
  std::optional<Name> of(std::string_view stream_id, Channel channel) const;

 private:
  Pattern everyone_;
  Pattern vip_;
};

// By transport.
using TokenMakers = std::map<std::string, std::unique_ptr<TokenMaker>, std::less<>>;

}  // namespace sealcast::transport
