// Checks of single values that are texts: each answers null, or what is wrong and how to mend it.
#pragma once

#include <optional>
#include <string>

namespace sealcast::config::checks {

using Problem = std::optional<std::string>;

Problem listen_address(const std::string& value);
Problem postgres_dsn(const std::string& value);           // never quotes the value: it may hold a password
Problem optional_postgres_dsn(const std::string& value);  // or empty
Problem redis_url(const std::string& value);              // likewise
Problem optional_redis_url(const std::string& value);     // or empty
Problem stream_template(const std::string& value);        // has {stream_id} in it
Problem partition_template(const std::string& value);     // has {n} in it
Problem optional_mqtt_url(const std::string& value);      // or empty; without a password
Problem mqtt_topic(const std::string& value);             // a stream_template too
Problem readable_file(const std::string& value);          // or empty
Problem directory(const std::string& value);              // or empty
Problem socket_path(const std::string& value);            // or empty
Problem log_level(const std::string& value);
Problem origin(const std::string& value);
Problem service_url(const std::string& value);   // of an HTTP service, http:// or https://; or empty
Problem tls_url(const std::string& value);       // https:// alone
Problem ably_channel(const std::string& value);  // a template by Ably's rules for names
Problem channel_access(const std::string& value);
Problem websocket_url(const std::string& value);  // ws:// or wss://
Problem not_empty(const std::string& value);
Problem network(const std::string& value);  // an address, with a prefix or without
Problem region(const std::string& value);   // "NAME URL LATITUDE LONGITUDE"

// A check of a text that may be empty.
template <Problem (*Check)(const std::string&)>
Problem optional(const std::string& value) {
  return value.empty() ? Problem() : Check(value);
}

}  // namespace sealcast::config::checks
