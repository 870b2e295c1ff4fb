// The exception for invalid settings, for the sidecar and the broker's plugin.
#pragma once

#include <stdexcept>

namespace sealcast::core {

// The message names the file, the key and the fix.
class SettingsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sealcast::core
