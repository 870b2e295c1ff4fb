// The exception for invalid settings, in all programs.
#pragma once

#include <stdexcept>

namespace sealcast::core {

// The message names the file, the key and the fix.
class SettingsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sealcast::core
