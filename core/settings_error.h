// The error that a bad setting raises, in every program.
#pragma once

#include <stdexcept>

namespace sealcast::core {

// Bad configuration: the message names the file, the key and the fix.
class SettingsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sealcast::core
