// The errors of a statement, classified by what the caller may do next.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "client/names.h"

namespace sealcast::client::postgres {

enum class Failure {
  unavailable,  // not connected: nothing was sent
  in_doubt,     // the connection was lost, or the deadline passed, after the statement was sent
  refused,      // Postgres answered with an error; its SQLSTATE gives the reason
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
  // Empty when Postgres sent none.
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }

  // The transaction conflicted with another one (serialization failure or deadlock) and can be retried.
  bool serialization() const noexcept { return sqlstate_ == "40001" || sqlstate_ == "40P01"; }
  // The input caused the error: classes 22 (data exception) and 54 (limit exceeded, such as nested too deeply).
  bool of_input() const noexcept { return sqlstate_.starts_with("22") || sqlstate_.starts_with("54"); }
  // Another attempt may succeed: the server is shutting down, starting up, a standby, or out of resources.
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
