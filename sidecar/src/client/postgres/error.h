// The errors of a statement, classified by how the caller can react.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "client/names.h"

namespace sealcast::client::postgres {

enum class Failure {
  unavailable,  // the statement was not executed: there is no connection, or too many statements wait
  in_doubt,  // the connection was lost after the statement was sent, or the deadline passed; it may have been executed
  refused,   // Postgres answered with an error; the SQLSTATE gives the reason
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
  // The detail and the hint are empty when Postgres sent none.
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }

  // Returns true when the transaction conflicted with another one (serialization failure or deadlock) and can be
  // retried.
  bool serialization() const noexcept { return sqlstate_ == "40001" || sqlstate_ == "40P01"; }
  // Returns true when the input caused the error: SQLSTATE classes 22 (data exception) and 54 (limit exceeded, for
  // example by input that is nested too deeply).
  bool of_input() const noexcept { return sqlstate_.starts_with("22") || sqlstate_.starts_with("54"); }
  bool disk_full() const noexcept { return sqlstate_ == "53100"; }
  // Returns true when the statement was cancelled, because it or its wait for a lock took too long.
  bool took_too_long() const noexcept { return sqlstate_ == "57014" || sqlstate_ == "55P03"; }
  // Returns true when another attempt may succeed: Postgres has not answered, or the server is shutting down, starting
  // up, a standby, busy, out of resources, or has connection problems (class 08).
  bool transient() const noexcept {
    std::string_view state = sqlstate_;
    return failure_ != Failure::refused || state.starts_with("08") || state.starts_with("53") ||
           state.starts_with("57P") || state == "25006" || took_too_long();
  }

 private:
  Failure failure_;
  std::string sqlstate_;
  std::string detail_;
  std::string hint_;
};

}  // namespace sealcast::client::postgres
