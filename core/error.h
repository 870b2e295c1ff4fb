// The exception of core. It has a message, a detail and a hint, which the extension and the sidecar put into their
// error messages.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace sealcast::core {

enum class ErrorKind {
  invalid_json,      // not I-JSON (RFC 7493); the message names the byte offset or the path
  invalid_argument,  // a value outside its documented range
  unknown_key,       // a key id that is not in the keyring
  bad_keyring,       // a keyring directory that cannot be used
  interrupted,       // the caller's cancel flag is set
};

// In the extension, extension/server/guard.h turns each Error that no other code has caught into a PostgreSQL error.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, std::string detail = {}, std::string hint = {})
      : std::runtime_error(message), kind_(kind), detail_(std::move(detail)), hint_(std::move(hint)) {}

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  ErrorKind kind_;
  std::string detail_;
  std::string hint_;
};

}  // namespace sealcast::core
