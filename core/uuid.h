// UUIDs as text: 8-4-4-4-12 hex digits (RFC 9562), compared, hashed and signed in lower case.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::core {

inline constexpr std::string_view kNilUuid = "00000000-0000-0000-0000-000000000000";

// False when `text` is not a hyphenated UUID; otherwise `out` is its lower-case form.
bool normalize_uuid(std::string_view text, std::string& out);

}  // namespace sealcast::core
