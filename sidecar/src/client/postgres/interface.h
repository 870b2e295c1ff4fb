// Which extension this sidecar can work with: the one whose sealcast.interface_version() answers this number.
#pragma once

#include <cstdint>

#include "client/names.h"

namespace sealcast::client::postgres {

inline constexpr std::int64_t kInterfaceVersion = 1;

}  // namespace sealcast::client::postgres
