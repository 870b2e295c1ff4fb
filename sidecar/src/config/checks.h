// Checks of single text settings. Each returns nullopt for a valid value, otherwise a text with the problem and the
// fix: "is …; write …". The name of the setting precedes this text in the error message.
#pragma once

#include <optional>
#include <string>

namespace sealcast::config::checks {

using Problem = std::optional<std::string>;

// Addresses and URLs. A problem never quotes a value that may contain a password.
Problem listen_address(const std::string& value);  // host:port, the port may be 0
Problem postgres_dsn(const std::string& value);    // without a password
Problem optional_postgres_dsn(const std::string& value);
Problem redis_url(const std::string& value);  // without a password
Problem optional_redis_url(const std::string& value);
Problem optional_mqtt_url(const std::string& value);  // without a password
Problem service_url(const std::string& value);        // http:// or https://, or empty
Problem webhook_event(const std::string& value);      // a name such as user.banned, or *
Problem tls_url(const std::string& value);            // https://
Problem websocket_url(const std::string& value);      // ws:// or wss://
Problem origin(const std::string& value);             // of a web page, or "*"
Problem header_name(const std::string& value);        // of HTTP, or "*"
Problem network(const std::string& value);            // an address, with or without a prefix length
Problem region(const std::string& value);             // "NAME URL LATITUDE LONGITUDE"

// Templates of names
Problem stream_template(const std::string& value);     // contains {stream_id}
Problem partition_template(const std::string& value);  // contains {n}
Problem mqtt_topic(const std::string& value);          // contains {stream_id}
Problem ably_channel(const std::string& value);        // contains {stream_id}

// Paths. An empty text is valid.
Problem readable_file(const std::string& value);
Problem directory(const std::string& value);
Problem socket_path(const std::string& value);

// Words and names
Problem log_level(const std::string& value);
Problem channel_access(const std::string& value);  // private or public
Problem not_empty(const std::string& value);

// Applies `Check` to all texts except the empty one, which is valid.
template <Problem (*Check)(const std::string&)>
Problem optional(const std::string& value) {
  return value.empty() ? Problem() : Check(value);
}

}  // namespace sealcast::config::checks
