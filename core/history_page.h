// The size of a page of a stream's history. The extension ends the page, and the sidecar tells the reader that it did.
#pragma once

#include <cstdint>

namespace sealcast::core {

// In bytes of envelopes. A page ends with the message that brings it to this size.
inline constexpr std::int64_t kMaxPageBytes = 1 << 20;

}  // namespace sealcast::core
