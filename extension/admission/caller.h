// Who is calling from SQL: the claims that a gateway such as PostgREST set with SET LOCAL request.jwt.claims.
#pragma once

#include "server/pg.h"

namespace sealcast::admission {

// `sub` of the claims; nothing when there are none, or it is no UUID, or nil. Never an error, as policies ask.
std::optional<pg_uuid_t> caller_id();

// As caller_id(), but refuses (PT401) who has no session, or one that has expired.
pg_uuid_t current_sender();

}  // namespace sealcast::admission
