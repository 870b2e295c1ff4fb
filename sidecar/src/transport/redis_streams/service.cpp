// Makes connection options from the settings of a Redis service, and maps results of Redis commands to outcomes.
#include "transport/redis_streams/service.h"

#include <string>

namespace sealcast::transport::redis_streams {

redis::Options service_options(std::string_view section, const config::Settings::RedisService& settings,
                               std::chrono::milliseconds timeout) {
  redis::Options options = redis::parse_url(settings.url);
  const std::string prefix = std::string(section) + ".";
  if (!settings.password_file.empty()) {
    options.password = Secret(prefix + "password_file", settings.password_file);
  }
  if (!settings.sentinel_password_file.empty()) {
    options.sentinel_password = Secret(prefix + "sentinel_password_file", settings.sentinel_password_file);
  }
  options.tls_files = {prefix, settings.ca_file, settings.cert_file, settings.key_file};
  options.timeout = timeout;
  options.log_tag = log::tag::kDelivery;
  return options;
}

outside::Outcome outcome_of(const redis::Result& result) {
  outside::Outcome outcome;
  outcome.kind = outside::Outcome::Kind::retry_transport;
  switch (result.status) {
    case redis::Status::ok:
      outcome.kind = outside::Outcome::Kind::done;
      break;
    case redis::Status::error:
      outcome.reason = "Redis returned an error: " + std::string(result.text().substr(0, 200));
      // WRONGTYPE: the key exists, but is not a Redis stream. This affects only the streams that use this key.
      if (result.text().find("WRONGTYPE") != std::string_view::npos)
        outcome.kind = outside::Outcome::Kind::retry_stream;
      break;
    case redis::Status::timed_out:
      outcome.reason = "Redis did not answer in time";
      break;
    case redis::Status::disconnected:
      outcome.reason = "Redis is not connected";
      break;
    case redis::Status::overloaded:
      outcome.reason = "too many Redis commands are waiting";
      break;
  }
  return outcome;
}

}  // namespace sealcast::transport::redis_streams
