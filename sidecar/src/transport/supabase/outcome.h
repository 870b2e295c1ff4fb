// The outcome of a broadcast through Supabase Realtime.
#pragma once

#include "client/http/answer.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::supabase {

// The caller sets `delivered`.
outside::Outcome outcome_of(const client::http::Answer& answer);

}  // namespace sealcast::transport::supabase
