// The body of POST /streams/{id}/heartbeat: {"viewer_id"}. The member and the whole body are optional.
#pragma once

#include <simdjson.h>

#include <string>

#include "http/exchange.h"

namespace sealcast::api {

class HeartbeatBodyParser {
 public:
  static constexpr std::string_view kHint = R"(Send {"viewer_id": "…"}, or Authorization: Bearer.)";

  // Stores the member viewer_id of the body in `viewer_id`, or an empty string if the body has no viewer_id. Returns
  // false after answering 400 if the body is invalid.
  bool parse(const std::string& body, std::string& viewer_id, http::Response& response);

 private:
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::api
