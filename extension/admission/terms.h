// The blocked terms of the streams, compiled once per backend and version of the terms.
#pragma once

#include <memory>

#include "core/terms/review.h"
#include "server/pg.h"

namespace sealcast::admission::terms {

// The compiled terms of one stream, or of all streams.
struct Compiled {
  std::unique_ptr<core::terms::TermSet> set;  // null if there are none
  std::vector<pg_uuid_t> ids;                 // term_id by the number of the term
};

// Returns whether the database has any terms. Costs next to nothing while the terms do not change.
bool any();

// Returns the terms of a stream; of all streams if `stream_id` is null. Reads them if they have changed since the last
// call. The result is valid until the second call after this one.
const Compiled& of(const pg_uuid_t* stream_id);

// The objects that reviews reuse. Use it inside a guard.
core::terms::Reviewer& reviewer();

}  // namespace sealcast::admission::terms
