// The interface version of the extensions that this sidecar works with, as sealcast.interface_version() returns it.
#pragma once

#include <cstdint>

#include "client/names.h"

namespace sealcast::client::postgres {

inline constexpr std::int64_t kInterfaceVersion = 1;

}  // namespace sealcast::client::postgres
