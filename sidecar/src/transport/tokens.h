// Reader tokens for outside services. A token opens one channel of the service for a limited time, to subscribe only.
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
  std::string channel_id;  // the name of the stream's channel at the outside service
  std::string token;       // the reader token as a JSON value: a string or an object
  std::string url;         // address to which readers connect; empty when readers know the address
};

struct TokenClaims {
  std::string_view stream_id;
  Channel channel;
  std::string_view user_id;   // empty for an anonymous reader
  std::int64_t now_ms;        // the current time in Unix milliseconds
  std::chrono::seconds life;  // the time from now until the token expires
  bool restricted;            // not everybody may read the channel, so the reader may lose the right
};

class TokenMaker {
 public:
  virtual ~TokenMaker() = default;
  // Returns nullopt when the service does not carry the channel.
  virtual std::optional<TransportToken> make(const TokenClaims& claims) const = 0;
};

// Makes the names under which an outside service knows the two channels of a stream.
class ChannelNames {
 public:
  struct Pattern {
    std::string setting;  // the key of the setting, for error messages
    std::string text;     // contains {stream_id}; empty when the service does not carry the channel
  };
  struct Name {
    std::string text;
    std::string json;  // `text` as a JSON string with quotes
  };

  // Throws SettingsError when a pattern is not UTF-8.
  ChannelNames(Pattern everyone, Pattern vip);
  // Returns nullopt when the service does not carry the channel.
  std::optional<Name> of(std::string_view stream_id, Channel channel) const;

 private:
  Pattern everyone_;
  Pattern vip_;
};

// The key is the name of the transport. A reload replaces a maker while an answer may still use it.
using TokenMakers = std::map<std::string, std::shared_ptr<const TokenMaker>, std::less<>>;

}  // namespace sealcast::transport
