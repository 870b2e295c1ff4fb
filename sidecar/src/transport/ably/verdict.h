// What an answer of Ably's REST API means for the frames that were sent.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/outcome.h"

namespace sealcast::ably {

// `delivered` is left to the caller.
Outcome outcome_of(const http::Answer& answer);

// Whether Ably may have published although the answer does not say so.
bool in_doubt(const http::Answer& answer);

}  // namespace sealcast::ably
