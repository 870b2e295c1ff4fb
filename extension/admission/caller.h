// Identifies the user who calls from SQL. A gateway such as PostgREST checks the user's token and sets its claims with
// SET LOCAL request.jwt.claims.
#pragma once

#include "server/pg.h"

namespace sealcast::admission {

// Returns the claim `sub`, or nullopt if it is missing, is not a UUID, or is nil. Does not check whether the session
// has expired. Invalid claims raise no error, because row-level security policies call this function.
std::optional<pg_uuid_t> caller_id();

// Returns the claim `sub`. Raises error PT401 if there is no valid `sub`, or if the session has expired (claim `exp`).
pg_uuid_t current_sender();

}  // namespace sealcast::admission
