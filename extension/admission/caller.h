// The user who calls from SQL, by the claims that a gateway such as PostgREST sets with SET LOCAL request.jwt.claims.
#pragma once

#include "server/pg.h"

namespace sealcast::admission {

// Returns `sub` of the claims; nothing if it is missing, not a UUID, or nil. Never raises an error: row-level security
// policies call it.
std::optional<pg_uuid_t> caller_id();

// As caller_id(), but raises PT401 if there is no session or the session has expired.
pg_uuid_t current_sender();

}  // namespace sealcast::admission
