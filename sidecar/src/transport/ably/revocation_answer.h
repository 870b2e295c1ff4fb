// Reads Ably's answer to a request that revokes tokens (revocation.h).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "client/http/answer.h"
#include "transport/tokens.h"

namespace sealcast::transport::ably {

// A target is this text, followed by a user's id.
inline constexpr std::string_view kClientTarget = "clientId:";

// Ably gives a result for each target. Ably's answers have three forms: {"results":[…]}, [...], and, after a partial
// failure, {"error":…,"batchResponse":[…]}.
TokenRevoker::Answer read_revocation(const client::http::Answer& answer, std::span<const std::string> users);

}  // namespace sealcast::transport::ably
