// Which of Redis' errors concern one key, and which all.
#include "transport/redis_streams/service.h"

#include <string>

#include "core/token/secret_file.h"

namespace sealcast {

redis::Options service_options(std::string_view section, const Settings::RedisService& settings,
                               std::chrono::milliseconds timeout) {
  redis::Options options = redis::parse_url(settings.url);
  if (!settings.password_file.empty()) {
    options.password = read_secret_file(std::string(section) + ".password_file", settings.password_file);
  }
  options.ca_file = settings.ca_file;
  options.timeout = timeout;
  options.log_tag = log::tag::kDelivery;
  return options;
}

Outcome outcome_of(const redis::Result& result) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::retry_transport;
  switch (result.status) {
    case redis::Status::ok:
      outcome.kind = Outcome::Kind::done;
      break;
    case redis::Status::error:
      outcome.reason = "Redis answers: " + std::string(result.text().substr(0, 200));
      // The key holds something else: the trouble of its streams alone.
      if (result.text().find("WRONGTYPE") != std::string_view::npos) outcome.kind = Outcome::Kind::retry_stream;
      break;
    case redis::Status::timed_out:
      outcome.reason = "Redis did not answer in time";
      break;
    case redis::Status::disconnected:
      outcome.reason = "no connection to Redis";
      break;
    case redis::Status::overloaded:
      outcome.reason = "too many calls to Redis wait already";
      break;
  }
  return outcome;
}

}  // namespace sealcast
