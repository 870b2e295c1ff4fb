// How a statement can fail, told apart by what the caller may do next.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "client/names.h"

namespace sealcast::client::postgres {

enum class Failure {
  unavailable,  // not connected: nothing was sent
  in_doubt,     // the connection was lost, or the deadline passed, after the statement was sent
  refused,      // Postgres answered with an error, whose SQLSTATE says why
};

class Error : public std::runtime_error {
 public:
  Error(Failure failure, const std::string& message, std::string sqlstate = {}, std::string detail = {},
        std::string hint = {})
      : std::runtime_error(message),
        failure_(failure),
        sqlstate_(std::move(sqlstate)),
        detail_(std::move(detail)),
        hint_(std::move(hint)) {}

  Failure failure() const noexcept { return failure_; }
  const std::string& sqlstate() const noexcept { return sqlstate_; }
  // Empty where Postgres gave none.
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }

  // The transaction lost against another one and can simply be tried again.
  bool serialization() const noexcept { return sqlstate_ == "40001" || sqlstate_ == "40P01"; }
  // Data exceptions, and "too complex" such as nested too deeply: the fault of what was given.
  bool of_input() const noexcept { return sqlstate_.starts_with("22") || sqlstate_.starts_with("54"); }
  // The server cannot work now (shutting down, starting up, a standby, out of resources): another attempt may succeed.
  bool transient() const noexcept {
    std::string_view state = sqlstate_;
    return failure_ != Failure::refused || state.starts_with("08") || state.starts_with("53") ||
           state.starts_with("57P") || state == "25006";
  }

 private:
  Failure failure_;
  std::string sqlstate_;
  std::string detail_;
  std::string hint_;
};

}  // namespace sealcast::client::postgres
