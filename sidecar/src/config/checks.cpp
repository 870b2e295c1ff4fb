// Checks the values of text settings: addresses, URLs, templates, paths.
#include "config/checks.h"

#include <libpq-fe.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "base/address.h"
#include "base/log.h"
#include "base/service_url.h"
#include "client/redis/options.h"
#include "config/region.h"
#include "core/characters.h"

namespace sealcast::config::checks {
namespace {

std::string quoted(const std::string& value) { return "\"" + value + "\""; }

// Returns whether `url` consists of `scheme`, a host, an optional port and an optional path. Credentials are refused,
// because a settings file must not contain secrets.
bool is_plain_url(const std::string& url, std::string_view scheme) {
  return url.starts_with(scheme) && url.size() > scheme.size() && url[scheme.size()] != '/' &&
         url.find_first_of("@?# \t\r\n", scheme.size()) == url.npos;
}

}  // namespace

Problem listen_address(const std::string& value) {
  const auto colon = value.rfind(':');
  std::uint16_t port = 0;
  if (colon != std::string::npos && colon > 0) {
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data() + colon + 1, end, port);
    const std::string host = value.substr(0, colon);
    const bool bracketed = host.front() == '[' && host.back() == ']';
    if (error == std::errc() && stop == end && (bracketed || host.find(':') == std::string::npos)) return {};
  }
  return "is " + quoted(value) + "; write host:port such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
}

Problem postgres_dsn(const std::string& value) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(value.c_str(), &error),
                                                                             PQconninfoFree);
  if (!options) {
    PQfreemem(error);  // libpq's error is not reported, because it may quote a part of a password
    return "is not a connection string of libpq; write \"host=… dbname=…\" or \"postgresql://user@host/dbname\"";
  }
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (std::strcmp(option->keyword, "password") == 0 && option->val != nullptr) {
      return "contains a password; write the password into a file and its path into postgres.password_file";
    }
  }
  return {};
}

Problem optional_postgres_dsn(const std::string& value) { return value.empty() ? Problem() : postgres_dsn(value); }

Problem redis_url(const std::string& value) {
  try {
    if (!redis::parse_url(value).password.empty()) {
      return "contains a password; write the password into a file and its path into the password_file of the same "
             "section";
    }
    return {};
  } catch (const std::invalid_argument& error) {
    return std::string(error.what()).append("; write ").append(redis::kUrlForms);
  }
}

Problem optional_redis_url(const std::string& value) { return value.empty() ? Problem() : redis_url(value); }

Problem stream_template(const std::string& value) {
  if (value.find("{stream_id}") != std::string::npos) return {};
  return "is " + quoted(value) + " without {stream_id}, so all streams would have the same name; add {stream_id} to it";
}

Problem partition_template(const std::string& value) {
  if (value.find("{n}") != std::string::npos) return {};
  return "is " + quoted(value) + " without {n}, so all partitions would have the same name; add {n} to it";
}

Problem optional_mqtt_url(const std::string& value) {
  if (value.empty()) return {};
  constexpr char kFix[] = "; write mqtt://[user@]host[:port], or mqtts:// for TLS";
  try {
    const ServiceUrl url = parse_service_url(value, "mqtt");
    if (!url.password.empty()) {
      return "contains a password; write the password into a file and its path into mqtt.password_file";
    }
    if (!url.path.empty()) return std::string("has a path") + kFix;
    return {};
  } catch (const std::invalid_argument& error) {
    return error.what() + std::string(kFix);
  }
}

// A topic name has no wildcards, and names that begin with $ belong to the broker (MQTT 5.0, 4.7). Brokers limit the
// length of topics. 1,024 bytes leave room for the stream's id, which is longer than {stream_id}.
Problem mqtt_topic(const std::string& value) {
  if (Problem problem = stream_template(value)) return problem;
  if (value.front() == '$' || value.find_first_of("+#") != std::string::npos || value.size() > 1024) {
    return "is " + quoted(value) + "; write a topic without + and #, not beginning with $, of at most 1024 bytes";
  }
  return {};
}

Problem readable_file(const std::string& value) {
  if (value.empty() || ::access(value.c_str(), R_OK) == 0) return {};
  return "is " + quoted(value) + ", a file that cannot be read (" + std::strerror(errno) +
         "); create the file, or make it readable for the user that runs sealcastd";
}

Problem directory(const std::string& value) {
  std::error_code ignored;
  if (value.empty() || std::filesystem::is_directory(value, ignored)) return {};
  return "is " + quoted(value) + ", which is not a directory; write the path of a directory, or leave it empty";
}

Problem socket_path(const std::string& value) {
  if (value.empty()) return {};
  if (value.front() != '/') return "is " + quoted(value) + "; write an absolute path: Postgres uses the same path";
  if (value.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return "is longer than " + std::to_string(sizeof(sockaddr_un{}.sun_path) - 1) + " bytes; choose a shorter path";
  }
  std::error_code ignored;
  const auto parent = std::filesystem::path(value).parent_path();
  if (std::filesystem::is_directory(parent, ignored)) return {};
  return "is in " + quoted(parent.string()) + ", which is not a directory; create it";
}

Problem log_level(const std::string& value) {
  if (log::level_named(value)) return {};
  return "is " + quoted(value) + "; write debug, info, warn or error";
}

Problem origin(const std::string& value) {
  if (value == "*") return {};
  const auto scheme = value.find("://");
  if (scheme != std::string::npos && scheme > 0 && scheme + 3 < value.size() &&
      value.find_first_of("/?# ", scheme + 3) == std::string::npos) {
    return {};
  }
  return "contains " + quoted(value) + "; write origins such as \"https://example.org\" without a path, or \"*\"";
}

Problem header_name(const std::string& value) {
  if (!value.empty() && std::ranges::all_of(value, core::is_token_character)) return {};
  return "contains " + quoted(value) + "; write names of header fields such as \"traceparent\", or \"*\"";
}

Problem service_url(const std::string& value) {
  if (value.empty() || is_plain_url(value, "https://") || is_plain_url(value, "http://")) return {};
  return "is not a usable URL; write https://host or https://host/path, without user, query or fragment";
}

// Postgres knows the events (sql/62_webhooks.sql), and the sidecar logs unknown names.
Problem webhook_event(const std::string& value) {
  const auto is_name = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  };
  const std::size_t dot = value.find('.');
  if (value == "*" || (dot != value.npos && is_name(value.substr(0, dot)) && is_name(value.substr(dot + 1)))) return {};
  return "contains " + quoted(value) + "; write names of events such as \"user.banned\", or \"*\"";
}

Problem tls_url(const std::string& value) {
  if (is_plain_url(value, "https://")) return {};
  return "is not a usable URL; write https://host, without user, query or fragment";
}

Problem websocket_url(const std::string& value) {
  if (is_plain_url(value, "wss://") || is_plain_url(value, "ws://")) return {};
  return "is not a usable URL; write wss://host or wss://host/path, without user, query or fragment";
}

// Ably refuses other names with error 40010 (https://ably.com/docs/channels). A * is refused, because in the capability
// of a reader token it would match other channels too.
Problem ably_channel(const std::string& value) {
  if (value.starts_with('[') || value.starts_with(':') || value.find_first_of("*\n") != value.npos) {
    return "is " + quoted(value) + "; write a name that begins with neither [ nor : and has no * and no line break";
  }
  return stream_template(value);
}

Problem channel_access(const std::string& value) {
  if (value == "private" || value == "public") return {};
  return "is " + quoted(value) + "; write private or public";
}

Problem not_empty(const std::string& value) {
  if (!value.empty()) return {};
  return "is empty; write a name, or remove the setting";
}

Problem network(const std::string& value) {
  try {
    parse_network(value);
    return {};
  } catch (const std::invalid_argument& error) {
    return "contains " + quoted(value) + ", which " + error.what() +
           "; write networks such as \"10.0.0.0/8\" or \"2001:db8::/32\", or addresses";
  }
}

Problem region(const std::string& value) {
  try {
    const Region region = parse_region(value);
    const Problem problem = service_url(region.url);
    return problem ? "contains region \"" + region.name + "\" whose URL " + *problem : Problem();
  } catch (const std::invalid_argument& error) {
    return "contains " + quoted(value) + ", which " + error.what() +
           "; write \"NAME URL LATITUDE LONGITUDE\", such as \"eu https://eu.chat.example 50.11 8.68\"";
  }
}

}  // namespace sealcast::config::checks
