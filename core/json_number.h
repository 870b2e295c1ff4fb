// JSON numbers: the grammar of RFC 8259 in, the literal that ECMAScript prints out. Internal to core.
#pragma once

#include "core/canonical_json.h"
#include "core/json_string.h"

namespace sealcast::core {

// Reads the number at `at.in` (a '-' or a digit) and writes its canonical literal, at most kSlack bytes.
// Returns at.in == nullptr and sets `fault` when it is no number, is beyond a double, or is not exact when it must be.
Cursor write_number(Cursor at, const char* end, Numbers numbers, Fault& fault);

}  // namespace sealcast::core
