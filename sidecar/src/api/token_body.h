// The body of POST /streams/{id}/token: {"transport","channel"}. The member channel is optional.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>

#include "http/exchange.h"
#include "transport/frame.h"

namespace sealcast::api {

struct TokenBody {
  std::string transport;
  std::optional<transport::Channel> channel;
};

class TokenBodyParser {
 public:
  static constexpr std::size_t kMaxBytes = 16'384;

  // Returns false after answering 400 if the body is invalid, or 413 if it has more than kMaxBytes.
  bool parse(const std::string& body, TokenBody& out, http::Response& response);

 private:
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::api
