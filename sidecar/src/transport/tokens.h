// Reader tokens for outside services. A token opens one channel of the service for a limited time, to subscribe only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
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

// Revokes all reader tokens of users at an outside service, also those of other streams. A reader who still has a right
// gets a new token.
class TokenRevoker {
 public:
  struct Answer {
    std::vector<bool> revoked;   // for each user, in the order of `users`
    std::string problem;         // one line of text; empty: the tokens of all users are revoked
    std::vector<bool> possible;  // as `revoked`; false: the service cannot revoke these tokens, a retry has no purpose
    std::chrono::milliseconds retry_after{0};  // the service asks for this pause; 0: it does not

    // Returns whether there are tokens that are not revoked and that a later call may revoke.
    bool may_retry() const {
      for (std::size_t i = 0; i < revoked.size(); ++i) {
        if (!revoked[i] && possible[i]) return true;
      }
      return false;
    }
  };

  virtual ~TokenRevoker() = default;
  virtual std::size_t max_users() const = 0;  // of one call
  // Does not throw when the service fails. `users` are lower-case UUIDs, which must stay valid.
  virtual asio::awaitable<Answer> revoke(std::span<const std::string> users) = 0;
  virtual void read_key_again() = 0;  // reads the key of the tokens again
  virtual void stop() = 0;            // ends the calls with a failure
};

// The key is the name of the transport. A reload replaces a maker while an answer may still use it.
using TokenMakers = std::map<std::string, std::shared_ptr<const TokenMaker>, std::less<>>;

}  // namespace sealcast::transport
