// Maps an HTTP answer of Ably to the outcome of a publish.
#pragma once

#include <simdjson.h>

#include "client/http/answer.h"
#include "transport/outside/adapter.h"
#include "transport/outside/http_outcome.h"

namespace sealcast::transport::ably {

// Reads an ErrorInfo of Ably: {"code":40009,"message":"…",…}.
outside::HttpError read_error_info(const simdjson::dom::element& info);

// Reads the error from the body. When the body contains no error code, reads it from the headers: an answer of Ably's
// network edge (42922) has the error in its headers only.
outside::HttpError read_error(const client::http::Answer& answer);

// Returns the outcome without `delivered`, which the caller sets.
outside::Outcome outcome_of(const client::http::Answer& answer);

}  // namespace sealcast::transport::ably
