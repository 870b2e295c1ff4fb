// The gate's answer over HTTP: the RateLimit headers, 429 and 503.
#pragma once

#include <string_view>

#include "http/exchange.h"
#include "message/gate.h"

namespace sealcast::api {

// Adds the headers of draft-ietf-httpapi-ratelimit-headers under the name `policy`. Returns false if the request must
// end here; the response is then 429 or, without these headers, 503.
bool within_rate(std::string_view policy, const message::GateAnswer& answer, http::Response& response);

}  // namespace sealcast::api
