// What an answer of Supabase Realtime means for the frame that was sent.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/outcome.h"

namespace sealcast::transport::supabase {

// `delivered` is left to the caller.
outside::Outcome outcome_of(const client::http::Answer& answer);

}  // namespace sealcast::transport::supabase
