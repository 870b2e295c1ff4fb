// Reads JSON numbers (RFC 8259) and writes them as ECMAScript does. Internal to core.
#pragma once

#include "core/canonical_json.h"
#include "core/json_string.h"

namespace sealcast::core {

// Reads the number at `at.in`, which must be less than `end`, and writes its canonical literal to `at.out`, at most
// kSlack bytes. Returns the ends of both. Returns in == nullptr and sets `fault` if no number begins at `at.in`, the
// number is too large for a double, or `rules` wants exact numbers and the number is not exact.
InOut write_number(InOut at, const char* end, Rules rules, Fault& fault);

}  // namespace sealcast::core
