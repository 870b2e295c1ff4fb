// Seals a canonical payload: for the SQL function seal() and the trigger seal_row().
#pragma once

#include "core/keyring.h"
#include "server/pg.h"

namespace sealcast::sealing {

struct SealRequest {
  std::string_view t;
  std::string_view stream_id;  // an id may be any text; a UUID is sealed in lower case
  std::string_view sender_id;
  std::string_view txn_id;
  int64 ts;
};

// Appends the signed envelope of a canonical payload. For use inside a guard.
void seal_payload(const SealRequest& request, const core::Key& key, std::string_view canonical, std::string& envelope);

// Returns a time in milliseconds since 1970.
int64 unix_ms(TimestampTz time);

}  // namespace sealcast::sealing
