// Writes jsonb as canonical JSON. Calls no Postgres function that could longjmp over C++ frames.
#pragma once

#include "core/canonical_json.h"
#include "server/pg.h"

extern "C" {
#include "utils/jsonb.h"
}

namespace sealcast::sealing {

// Appends the canonical form of a detoasted jsonb to `out`. Call it inside a guard: like
// core::canonicalize() it throws Error{invalid_json} and, if `cancel` is set, Error{interrupted}.
void canonicalize_jsonb(const Jsonb* document, std::string& out, core::Rules rules, core::CancelFlag cancel);

}  // namespace sealcast::sealing
