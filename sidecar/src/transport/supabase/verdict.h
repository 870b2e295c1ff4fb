// What an answer of Supabase Realtime means for the frame that was sent.
#pragma once

#include "delivery/outcome.h"
#include "http_client/answer.h"

namespace sealcast::supabase {

// `delivered` is left to the caller.
Outcome outcome_of(const http::Answer& answer);

}  // namespace sealcast::supabase
