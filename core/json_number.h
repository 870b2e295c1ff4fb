// Reads JSON numbers (RFC 8259) and writes them as ECMAScript does. Internal to core.
#pragma once

#include "core/canonical_json.h"
#include "core/json_string.h"

namespace sealcast::core {

// Reads the number at `at.in`, which must be a '-' or a digit, and writes its canonical literal, at most kSlack bytes.
// Returns in == nullptr and sets `fault` if the text is not a number, the number is beyond a double, or it is inexact
// and `numbers` is exact.
InOut write_number(InOut at, const char* end, Numbers numbers, Fault& fault);

}  // namespace sealcast::core
