// The interface version of the database extension that this sidecar needs. The sidecar uses a database only if the
// result of sealcast.interface_version() is equal to it.
#pragma once

#include <cstdint>

#include "client/names.h"

namespace sealcast::client::postgres {

inline constexpr std::int64_t kInterfaceVersion = 3;

}  // namespace sealcast::client::postgres
