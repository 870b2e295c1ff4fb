// Turns the gate's answer into HTTP: the RateLimit headers, and the answers 429 and 503.
#pragma once

#include <string_view>

#include "http/exchange.h"
#include "message/gate.h"

namespace sealcast::api {

// Adds the headers RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers, with the policy name
// `policy`. Returns false after answering 429 if the sender exceeds the rate. Returns false without these headers after
// answering 429 if a rule of the stream makes the sender wait, or 503 if the gate does not answer.
bool within_rate(std::string_view policy, const message::GateAnswer& answer, http::Response& response);

}  // namespace sealcast::api
