// Writes jsonb as canonical JSON, without a call of Postgres that could leave by longjmp.
#pragma once

#include "core/canonical_json.h"
#include "server/pg.h"

extern "C" {
#include "utils/jsonb.h"
}

namespace sealcast::sealing {

// Appends the canonical form of a detoasted jsonb. For use inside a guard; throws as canonicalize() does.
void canonicalize_jsonb(const Jsonb* document, std::string& out, core::Numbers numbers, core::CancelFlag cancel);

}  // namespace sealcast::sealing
