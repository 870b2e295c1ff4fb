// The body of POST /streams/{id}/token: {"transport","ticket","channel"}, of which the last two may be left out.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>

#include "http/exchange.h"
#include "transport/frame.h"

namespace sealcast::api {

struct TokenBody {
  std::string transport;
  std::string ticket;  // empty: none
  std::optional<transport::Channel> channel;
};

class TokenBodyParser {
 public:
  static constexpr std::size_t kMaxBytes = 16'384;

  // False when the body will not do; the response then says why.
  bool parse(const std::string& body, TokenBody& out, http::Response& response);

 private:
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::api
