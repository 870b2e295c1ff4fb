// The outcome of a publish to Ably.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::ably {

// The caller sets `delivered`.
outside::Outcome outcome_of(const client::http::Answer& answer);

}  // namespace sealcast::transport::ably
