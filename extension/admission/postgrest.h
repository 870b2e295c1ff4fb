// Raises refusals in the form from which PostgREST makes a whole HTTP response.
#pragma once

#include "admission/batch.h"

namespace sealcast::admission::postgrest {

// Returns whether the current transaction is a request of a PostgREST that knows this form.
bool is_calling();

// Raises a refusal as an ERROR with SQLSTATE PGRST. The members of `refusal` that PostgREST sends in headers must have
// no control characters.
[[noreturn]] void refuse(const Verdict& refusal, const std::optional<Rate>& exceeded);

}  // namespace sealcast::admission::postgrest
