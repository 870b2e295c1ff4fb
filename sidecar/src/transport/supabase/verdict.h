// What an answer of Supabase Realtime means for the frame that was sent.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/outcome.h"

namespace sealcast::supabase {

// `delivered` is left to the caller.
Outcome outcome_of(const http::Answer& answer);

}  // namespace sealcast::supabase
