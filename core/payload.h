// What admission does to a payload: canonical form, the hash of what was sent, and the members only the server states.
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
  std::string_view value;  // a string value; nullptr data() means: the server states nothing, the member is removed
};

struct Payload {
  std::string canonical;  // canonical `d` with the server's fields in place
  Digest sent_hash;       // SHA-256 of canonical `d` as it was sent
};

// Throws Error{invalid_json} as canonicalize(Numbers::exact) does, and Error{invalid_argument} when `json` is not an
// object. `out` is reused.
void prepare_payload(std::string_view json, const std::vector<ServerField>& server_fields, Payload& out,
                     CancelFlag cancel = nullptr);

}  // namespace sealcast::core
