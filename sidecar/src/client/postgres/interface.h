// Which extension this sidecar can work with: the one whose sealcast.interface_version() answers this number.
#pragma once

#include <cstdint>

namespace sealcast::pg {

inline constexpr std::int64_t kInterfaceVersion = 1;

}  // namespace sealcast::pg
