// Names the place of a fault in a JSON document that is being read or written. Internal to core.
#pragma once

#include <span>
#include <string>

#include "core/canonical_json.h"

namespace sealcast::core {

// The problems of U+0000 in a payload. In a key, the path is that of the object.
inline constexpr char kNulInString[] = "U+0000 cannot be stored";
inline constexpr char kNulInKey[] = "a key contains U+0000, which cannot be stored";

// Returns the path of the innermost open value, for example $["a"][2]. `open`: the open containers, outermost first.
// `members`: the members of all open objects, those of outer objects first.
std::string path_of(std::span<const OpenContainer> open, std::span<const Member> members);

}  // namespace sealcast::core
