// UUIDs as text (RFC 9562): 8-4-4-4-12 hex digits. They are compared, hashed and signed in lower case.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::core {

inline constexpr std::string_view kNilUuid = "00000000-0000-0000-0000-000000000000";

// Sets `out` to the lower-case form of a hyphenated UUID. Returns false, and leaves `out` unchanged, for any other
// text.
bool normalize_uuid(std::string_view text, std::string& out);

}  // namespace sealcast::core
