// Maps the HTTP answer of an outside service to the outcome of a publish. Each service gives its rules as data.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "client/http/answer.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::outside {

// The error that a service describes in its answer. Both texts are one line; both may be empty.
struct HttpError {
  std::string code;
  std::string message;
};

// Applies to an answer when all three conditions are met.
struct HttpRule {
  int status = 0;                 // 0: any
  std::string_view code = {};     // of the HttpError; empty: any
  std::string_view message = {};  // the beginning of the message of the HttpError; empty: any
  Outcome::Kind kind;
};

// Appended to the reason of an outcome.
struct HttpHint {
  int status;
  std::string_view text;
};

struct HttpService {
  std::span<const int> success;     // the statuses of a publish that the service has taken
  std::span<const HttpRule> rules;  // the first rule that applies gives the kind; without one: retry_transport
  HttpError (*read_error)(const client::http::Answer& answer);
  std::span<const HttpHint> hints = {};
};

// Without an answer the kind is retry_transport. The caller sets `delivered`.
Outcome http_outcome(const client::http::Answer& answer, const HttpService& service);

}  // namespace sealcast::transport::outside
