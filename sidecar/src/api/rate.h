// What the gate's answer means to who asks over HTTP.
#pragma once

#include <string_view>

#include "http/exchange.h"
#include "message/gate.h"

namespace sealcast::api {

// False when the request goes no further: the response says 429 or 503. Else it has the headers of
// draft-ietf-httpapi-ratelimit-headers, for the policy of that name.
bool within_rate(std::string_view policy, const message::GateAnswer& answer, http::Response& response);

}  // namespace sealcast::api
