// Maps the HTTP answer of an outside service to the outcome of a publish. Each HTTP adapter gives the rules of its
// service as data.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "client/http/answer.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::outside {

// The error that the body or the headers of an answer describe. Each text has one line or is empty.
struct HttpError {
  std::string code;
  std::string message;
};

// Gives the kind of outcome for a failed publish. A rule applies to an answer when `status`, `code`, `message` and
// `part` match.
struct HttpRule {
  int status = 0;                 // the HTTP status; 0: any status
  std::string_view code = {};     // HttpError::code; empty: any code
  std::string_view message = {};  // the beginning of HttpError::message; empty: any message
  std::string_view part = {};     // a text within HttpError::message; empty: any message
  Outcome::Kind kind;
};

// A text that is appended to the reason of a failure when the answer has this status, and HttpError::message begins
// with `message`. Only the first hint that matches is appended.
struct HttpHint {
  int status;
  std::string_view text;
  std::string_view message = {};
};

struct HttpService {
  std::span<const int> success;  // the statuses by which the service confirms a publish
  // The first rule that applies gives the kind. When no rule applies, the kind is retry_transport.
  std::span<const HttpRule> rules;
  HttpError (*read_error)(const client::http::Answer& answer);
  std::span<const HttpHint> hints = {};
};

// Returns the outcome without `delivered`, which the caller sets. When the service gave no answer, the kind is
// retry_transport.
Outcome http_outcome(const client::http::Answer& answer, const HttpService& service);

}  // namespace sealcast::transport::outside
