// The body of POST /streams/{id}/heartbeat: {"viewer_id"}, which may be left out, as may the body.
#pragma once

#include <simdjson.h>

#include <string>

#include "http/exchange.h"

namespace sealcast::api {

class HeartbeatBodyParser {
 public:
  static constexpr std::string_view kHint = "Send {\"viewer_id\": \"…\"}, or Authorization: Bearer.";

  // `viewer_id` is empty when there is none. False when the body will not do; the response then says why.
  bool parse(const std::string& body, std::string& viewer_id, http::Response& response);

 private:
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::api
