// Seals a canonical payload (signs it and makes the envelope). Used by the SQL function seal() and the trigger
// seal_row().
#pragma once

#include "core/keyring.h"
#include "server/pg.h"

namespace sealcast::sealing {

struct SealRequest {
  std::string_view t;
  std::string_view stream_id;  // the three ids may be any text; an id that is a UUID is sealed in lower case
  std::string_view sender_id;
  std::string_view txn_id;
  int64 ts;  // milliseconds since 1970
};

// Signs a canonical payload and appends its envelope to `envelope`. Call it inside a guard, because it may throw.
void seal_payload(const SealRequest& request, const core::Key& key, std::string_view canonical, std::string& envelope);

// Converts a time of Postgres into milliseconds since 1970 (UTC).
int64 unix_ms(TimestampTz time);

}  // namespace sealcast::sealing
