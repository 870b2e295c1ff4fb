// Maps an HTTP answer of Supabase Realtime to the outcome of a broadcast.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::supabase {

// Returns the outcome without `delivered`, which the caller sets.
outside::Outcome outcome_of(const client::http::Answer& answer);

}  // namespace sealcast::transport::supabase
