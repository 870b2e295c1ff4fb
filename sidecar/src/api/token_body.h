// The body of POST /streams/{id}/token: {"transport","ticket","channel"}; the last two are optional.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>

#include "http/exchange.h"
#include "transport/frame.h"

namespace sealcast::api {

struct TokenBody {
  std::string transport;
  std::string ticket;  // empty: absent
  std::optional<transport::Channel> channel;
};

class TokenBodyParser {
 public:
  static constexpr std::size_t kMaxBytes = 16'384;

  // Returns false if the body is invalid; the response is then 400 or 413.
  bool parse(const std::string& body, TokenBody& out, http::Response& response);

 private:
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::api
