// Maps an HTTP answer of Ably to the outcome of a publish.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::ably {

// Returns the outcome without `delivered`, which the caller sets.
outside::Outcome outcome_of(const client::http::Answer& answer);

}  // namespace sealcast::transport::ably
