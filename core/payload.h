// Prepares a payload for admission: canonical form, the hash as sent, and the server fields.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/canonical_json.h"
#include "core/digest.h"

namespace sealcast::core {

struct ServerField {
  std::string_view name;
  std::string_view value;  // a string; if data() is nullptr, the member is removed
};

struct Payload {
  std::string canonical;  // canonical `d` with the server fields
  Digest sent_hash;       // SHA-256 of canonical `d` as it was sent
};

// Canonicalises the payload, hashes it, and then sets or removes the server fields. Replaces `out`. Throws the errors
// of canonicalize() with Rules::payload. Throws Error{invalid_argument} if `json` is not an object, or if a server
// field is not valid UTF-8.
void prepare_payload(std::string_view json, const std::vector<ServerField>& server_fields, Payload& out,
                     CancelFlag cancel = nullptr);

}  // namespace sealcast::core
