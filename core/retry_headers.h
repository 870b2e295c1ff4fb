// The values of the HTTP headers that tell a client when to send again. The sidecar sends them itself. The extension
// gives them to PostgREST.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/message_type.h"

namespace sealcast::core {

// Owns no memory, so that an ERROR of Postgres may leave the frame that has it.
class HeaderValue {
 public:
  // The headers RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers, for a window of one second.
  // `policy` is the name of a message type, or as short and plain as one.
  static HeaderValue rate_limit_policy(std::string_view policy, std::int64_t limit) {
    return HeaderValue().add("\"").add(policy).add("\";q=").add(limit).add(";w=1");
  }
  static HeaderValue rate_limit(std::string_view policy, std::int64_t remaining) {
    return HeaderValue().add("\"").add(policy).add("\";r=").add(remaining).add(";t=1");
  }
  // Retry-After. Rounded up to whole seconds, so that no client retries too early.
  static HeaderValue retry_after(std::int64_t ms) { return HeaderValue().add(ms / 1000 + (ms % 1000 > 0 ? 1 : 0)); }

  const char* c_str() const { return text_; }

 private:
  static constexpr std::size_t kNumber = 20;  // characters of the longest number

  HeaderValue& add(std::string_view part) {
    size_ += part.copy(text_ + size_, sizeof text_ - 1 - size_);
    return *this;
  }
  HeaderValue& add(std::int64_t number) {
    size_ = static_cast<std::size_t>(std::to_chars(text_ + size_, text_ + sizeof text_ - 1, number).ptr - text_);
    return *this;
  }

  char text_[kMaxMessageType + kNumber + 16] = {};  // ends with a NUL
  std::size_t size_ = 0;
};

}  // namespace sealcast::core
