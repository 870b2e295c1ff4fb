// Parses redirections, the replies of sentinels and of ROLE, and the errors of replicas and of passwords.
#include "client/redis/topology.h"

#include <charconv>
#include <string>

namespace sealcast::client::redis {
namespace {

constexpr std::size_t kMaxHost = 255;  // bytes; the longest host name of the DNS has 253

template <typename Number>
bool parse_number(std::string_view text, Number& out) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && stop == text.data() + text.size();
}

// Host names and addresses have only visible ASCII characters. A / would be the path of a socket.
bool is_host(std::string_view text) {
  if (text.size() > kMaxHost) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '/') return false;
  }
  return true;
}

}  // namespace

std::optional<Redirection> parse_redirection(std::string_view text, const Address& answering) {
  const bool ask = text.starts_with("ASK ");
  if (!ask && !text.starts_with("MOVED ")) return std::nullopt;
  text.remove_prefix(text.find(' ') + 1);
  Redirection out{ask, 0, {}};
  const auto space = text.find(' ');
  const auto colon = text.rfind(':');
  if (space == text.npos || colon == text.npos || colon < space) return std::nullopt;
  if (!parse_number(text.substr(0, space), out.slot) || out.slot >= kSlots) return std::nullopt;
  if (!parse_number(text.substr(colon + 1), out.address.port) || out.address.port == 0) return std::nullopt;
  const std::string_view host = text.substr(space + 1, colon - space - 1);
  if (!is_host(host)) return std::nullopt;
  out.address.host = host.empty() ? answering.host : std::string(host);
  if (out.address.host.empty()) return std::nullopt;  // a node behind a Unix socket has no host
  return out;
}

std::optional<Address> parse_master(const redisReply* reply) {
  const auto parts = elements_of(reply);
  if (parts.size() != 2) return std::nullopt;
  const std::string_view host = text_of(parts[0]);
  Address address{std::string(host), 0};
  if (host.empty() || !is_host(host)) return std::nullopt;
  if (!parse_number(text_of(parts[1]), address.port) || address.port == 0) return std::nullopt;
  return address;
}

bool says_replica(const redisReply* reply) {
  const auto parts = elements_of(reply);
  if (parts.empty()) return false;
  const std::string_view role = text_of(parts[0]);
  return role == "slave" || role == "replica";
}

bool refuses_as_replica(std::string_view error) {
  if (error.starts_with("READONLY ")) return true;
  return error.starts_with("ERR Error running script ") && error.find(" -READONLY ") != error.npos;
}

bool refuses_password(std::string_view error) {
  return error.starts_with("WRONGPASS ") || error.starts_with("NOAUTH ") || error.starts_with("ERR invalid password");
}

bool unblocked_as_replica(std::string_view error) {
  return error.starts_with("UNBLOCKED ") && error.find("instance state changed") != error.npos;
}

}  // namespace sealcast::client::redis
