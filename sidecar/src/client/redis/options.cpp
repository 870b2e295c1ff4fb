// Parses the URL of a Redis.
#include "client/redis/options.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "base/service_url.h"

namespace sealcast::client::redis {
namespace {

constexpr std::uint16_t kDefaultPort = 6379;
constexpr std::uint16_t kDefaultSentinelPort = 26379;
constexpr std::size_t kMaxSeeds = 64;
constexpr std::string_view kUnix = "unix://";
constexpr std::string_view kSentinel = "+sentinel";

int parse_database(std::string_view text) {
  int database = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), database);
  if (error != std::errc() || stop != text.data() + text.size() || database < 0) {
    throw std::invalid_argument("has no database number where one belongs");
  }
  return database;
}

// unix://[user[:password]@]/path[?db=database]
Options parse_unix(std::string_view rest) {
  Options options;
  const auto slash = rest.find('/');
  if (slash == rest.npos) throw std::invalid_argument("has no absolute path of a socket");
  if (slash > 0) {
    if (rest[slash - 1] != '@') throw std::invalid_argument("has a host, but a socket has only a path");
    ServiceUrl parts = parse_service_url("redis://" + std::string(rest.substr(0, slash)) + "socket", "redis");
    options.user = std::move(parts.user);
    options.password = Secret(std::move(parts.password));
  }
  std::string_view path = rest.substr(slash);
  if (const auto query = path.find('?'); query != path.npos) {
    const std::string_view database = path.substr(query + 1);
    if (!database.starts_with("db=")) throw std::invalid_argument("has a parameter other than db after the ?");
    options.database = parse_database(database.substr(3));
    path = path.substr(0, query);
  }
  // sun_path of a Unix socket holds 108 bytes, one of which ends the text.
  if (path.size() < 2 || path.size() > 107) throw std::invalid_argument("has a path of less than 2 or over 107 bytes");
  options.seeds.push_back({.host = {}, .port = 0, .path = std::string(path)});
  return options;
}

// Takes the name of the master off the path MASTER[/database], and returns the database.
std::string_view take_master(Options& options, std::string_view path) {
  const auto slash = std::min(path.find('/'), path.size());
  options.sentinel_master = path.substr(0, slash);
  constexpr std::string_view kNameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  if (slash == 0 || path.substr(0, slash).find_first_not_of(kNameBytes) != path.npos) {
    throw std::invalid_argument("has no name of a master after the sentinels");
  }
  return path.substr(std::min(slash + 1, path.size()));
}

}  // namespace

std::string Address::text() const {
  if (!path.empty()) return path;
  const bool six = host.find(':') != std::string::npos;
  return (six ? "[" + host + "]:" : host + ":") + std::to_string(port);
}

Options parse_url(std::string_view url) {
  if (url.starts_with(kUnix)) return parse_unix(url.substr(kUnix.size()));
  const auto scheme_end = std::min(url.find("://"), url.size());
  std::string scheme(url.substr(0, scheme_end));
  const bool sentinel = scheme.ends_with(kSentinel);
  if (sentinel) scheme.resize(scheme.size() - kSentinel.size());
  if (scheme_end == url.size() || (scheme != "redis" && scheme != "rediss")) {
    throw std::invalid_argument("does not begin with redis://, rediss://, redis+sentinel:// or unix://");
  }
  url.remove_prefix(scheme_end + 3);
  std::string_view authority = url.substr(0, url.find('/'));
  const std::string_view path = url.substr(authority.size());
  const auto credentials_end = authority.rfind('@') + 1;  // npos + 1 is 0
  const std::string prefix = scheme + "://" + std::string(authority.substr(0, credentials_end));
  authority.remove_prefix(credentials_end);

  Options options;
  for (bool more = true; more;) {
    const auto comma = authority.find(',');
    more = comma != authority.npos;
    ServiceUrl parts = parse_service_url(prefix + std::string(authority.substr(0, comma)), "redis");
    if (parts.port == 0) parts.port = sentinel ? kDefaultSentinelPort : kDefaultPort;
    Address address{std::move(parts.host), parts.port};
    if (std::ranges::find(options.seeds, address) != options.seeds.end()) {
      throw std::invalid_argument("names a server twice");
    }
    if (options.seeds.size() == kMaxSeeds) throw std::invalid_argument("names more than 64 servers");
    options.seeds.push_back(std::move(address));
    options.tls = parts.tls;
    options.user = std::move(parts.user);
    options.password = Secret(std::move(parts.password));
    if (more) authority.remove_prefix(comma + 1);
  }
  std::string_view database = path.substr(std::min<std::size_t>(1, path.size()));
  if (sentinel) database = take_master(options, database);
  if (!database.empty()) options.database = parse_database(database);
  if (options.needs_cluster() && options.database != 0) {
    throw std::invalid_argument("names a database other than 0, the only one of a cluster");
  }
  return options;
}

}  // namespace sealcast::client::redis
