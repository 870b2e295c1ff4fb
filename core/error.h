// What went wrong, worded for the caller, in a form that both Postgres and the sidecar can answer with.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace sealcast::core {

enum class ErrorKind {
  invalid_json,      // bytes that are not I-JSON text; the message names the byte offset or the path
  invalid_argument,  // a value outside its documented range
  unknown_key,       // a key id that the keyring does not hold
  bad_keyring,       // a keyring directory that cannot be used as it stands
  interrupted,       // the caller's cancel flag was raised
};

// Thrown by every core function that can fail; caught in one place on each side (pg/guard.h, the sidecar's rpc).
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
