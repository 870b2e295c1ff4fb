// What the seal() function and the seal_row() trigger have in common.
#pragma once

#include "core/keyring.h"
#include "server/pg.h"

namespace sealcast::sealing {

struct SealRequest {
  std::string_view t;
  std::string_view stream_id;  // ids are any text; UUIDs are sealed in lower case
  std::string_view sender_id;
  std::string_view txn_id;
  int64 ts;
};

// Appends the signed envelope of a canonical payload. For use inside a guard.
void seal_payload(const SealRequest& request, const core::Key& key, std::string_view canonical, std::string& envelope);

int64 unix_ms(TimestampTz time);

}  // namespace sealcast::sealing
