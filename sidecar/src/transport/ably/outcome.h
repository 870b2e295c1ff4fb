// What an answer of Ably's REST API means for the frames that were sent.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/outcome.h"

namespace sealcast::transport::ably {

// `delivered` is left to the caller.
outside::Outcome outcome_of(const client::http::Answer& answer);

// Whether Ably may have published although the answer does not say so.
bool in_doubt(const client::http::Answer& answer);

}  // namespace sealcast::transport::ably
