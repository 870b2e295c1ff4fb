// Ably's error codes. https://ably.com/docs/platform/errors/codes, https://github.com/ably/ably-common/tree/main/errors
#include "transport/ably/verdict.h"

#include <simdjson.h>

#include <charconv>

namespace sealcast::transport::ably {
namespace {

using Kind = outside::Outcome::Kind;

struct Error {
  int code = 0;
  std::string message;
};

// From the body, or from the headers: what Ably's network edge refuses (42922) has no other.
Error read_error(const client::http::Answer& answer) {
  Error error;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(answer.body).get(root) == simdjson::SUCCESS) {
    std::int64_t code = 0;
    std::string_view message;
    if (root["error"]["code"].get(code) == simdjson::SUCCESS) error.code = static_cast<int>(code);
    if (root["error"]["message"].get(message) == simdjson::SUCCESS) error.message = client::http::one_line(message);
  }
  if (error.code == 0) {
    const std::string_view code = answer.header("x-ably-errorcode");
    std::from_chars(code.data(), code.data() + code.size(), error.code);
    error.message = client::http::one_line(answer.header("x-ably-errormessage"));
  }
  return error;
}

Kind kind_of(int status, int code) {
  switch (code) {
    case 40009:  // larger than this account's limit
    case 40013:  // invalid data or encoding
    case 40031:  // invalid id
    case 40034:  // too many messages in one publish
      return Kind::dead;
    case 40010:  // invalid channel name
    case 40114:  // the account may have no further channel
    case 40160:  // the key may not publish on this channel
    case 42913:  // the channel's rate
    case 42914:  // the channel's bandwidth
    case 50003:  // the channel took too long
      return Kind::retry_stream;
    default:
      break;
  }
  switch (status) {
    case 200:
    case 201:
    case 204:
      return Kind::done;
    case 413:
      return Kind::dead;
    case 400:
    case 500:
      return Kind::retry_stream;
    default:
      // 401 and 403: the key, the app or the account. 404: the app. 429: the rates of the account, of the system
      // (42910), of the network edge (42922), or of all channels together (42911). 502 to 504: nobody is there.
      return Kind::retry_transport;
  }
}

}  // namespace

outside::Outcome outcome_of(const client::http::Answer& answer) {
  if (answer.status == 0) return {.kind = Kind::retry_transport, .reason = answer.failure};
  const Error error = answer.status < 300 ? Error() : read_error(answer);
  outside::Outcome outcome{.kind = kind_of(answer.status, error.code), .after = answer.retry_after, .reason = {}};
  if (outcome.kind == Kind::done) return outcome;
  outcome.reason = "it answered " + std::to_string(answer.status);
  if (error.code != 0) outcome.reason += " (" + std::to_string(error.code) + ")";
  if (!error.message.empty()) outcome.reason += ": " + error.message;
  return outcome;
}

bool in_doubt(const client::http::Answer& answer) { return answer.status == 0 || answer.status >= 500; }

}  // namespace sealcast::transport::ably
