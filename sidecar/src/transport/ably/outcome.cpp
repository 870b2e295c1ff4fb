// The rules for Ably's error codes and statuses. github.com/ably/ably-common has one file per code,
// errors/codes/CODE.md; https://ably.com/docs/platform/errors/codes shows the same texts.
#include "transport/ably/outcome.h"

#include <charconv>

namespace sealcast::transport::ably {
namespace {

using Kind = outside::Outcome::Kind;

constexpr int kSuccess[] = {200, 201, 204};

constexpr outside::HttpRule kRules[] = {
    {.code = "40009", .kind = Kind::dead},          // the message is larger than the limit of the account
    {.code = "40013", .kind = Kind::dead},          // invalid data or encoding
    {.code = "40031", .kind = Kind::dead},          // invalid message id
    {.code = "40034", .kind = Kind::dead},          // too many messages in one publish
    {.code = "40010", .kind = Kind::retry_stream},  // invalid channel name
    {.code = "40114", .kind = Kind::retry_stream},  // the account has its maximum number of channels
    {.code = "40160", .kind = Kind::retry_stream},  // the key may not publish on this channel
    {.code = "42913", .kind = Kind::retry_stream},  // the rate limit of the channel (metric channel.maxRate)
    {.code = "42914", .kind = Kind::retry_stream},  // the bandwidth limit of the channel (channel.maxBandwidth)
    {.code = "90021", .kind = Kind::retry_stream},  // too many channels became active; active ones are not affected
    {.code = "50003", .kind = Kind::retry_stream},  // the channel timed out
    // The message of a rate limit names its metric. 42910 is a limit of the system, except that Ably's FAQ shows it
    // with channel.maxRate, the rate limit of the channel.
    // https://faqs.ably.com/error-code-42910-rate-limit-exceeded-request-rejected
    {.status = 429, .part = "metric = channel.", .kind = Kind::retry_stream},
    {.status = 413, .kind = Kind::dead},
    {.status = 400, .kind = Kind::retry_stream},
    {.status = 500, .kind = Kind::retry_stream},
    // No rule applies to the other statuses, so their kind is retry_transport: their causes affect all channels.
    // 401, 403: a fault of the key, the app or the account. 404: the app does not exist. 429: a rate limit of the
    // account for messages (42917) or requests (42918), of the publisher over all its channels (42911), of the system
    // (42910), or of the network edge (42922). 502 to 504: Ably is unavailable.
};

std::string code_text(std::int64_t code) { return code == 0 ? std::string() : std::to_string(code); }

}  // namespace

outside::HttpError read_error_info(const simdjson::dom::element& info) {
  outside::HttpError error;
  std::int64_t code = 0;
  std::string_view message;
  if (info["code"].get(code) == simdjson::SUCCESS) error.code = code_text(code);
  if (info["message"].get(message) == simdjson::SUCCESS) error.message = client::http::one_line(message);
  return error;
}

outside::HttpError read_error(const client::http::Answer& answer) {
  outside::HttpError error;
  if (answer.status < 300) return error;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::element info;
  if (parser.parse(answer.body).get(root) == simdjson::SUCCESS && root["error"].get(info) == simdjson::SUCCESS) {
    error = read_error_info(info);
  }
  if (error.code.empty()) {
    const std::string_view text = answer.header("x-ably-errorcode");
    int code = 0;
    std::from_chars(text.data(), text.data() + text.size(), code);
    error.code = code_text(code);
    error.message = client::http::one_line(answer.header("x-ably-errormessage"));
  }
  return error;
}

outside::Outcome outcome_of(const client::http::Answer& answer) {
  return outside::http_outcome(answer, {.success = kSuccess, .rules = kRules, .read_error = read_error});
}

}  // namespace sealcast::transport::ably
