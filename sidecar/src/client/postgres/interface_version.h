// The interface version that this sidecar needs. It must equal the result of sealcast.interface_version().
#pragma once

#include <cstdint>

#include "client/names.h"

namespace sealcast::client::postgres {

inline constexpr std::int64_t kInterfaceVersion = 1;

}  // namespace sealcast::client::postgres
