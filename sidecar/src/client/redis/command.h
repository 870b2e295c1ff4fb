// Addresses, commands in wire form, and redirections of a cluster.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/log.h"
#include "client/names.h"

namespace sealcast::client::redis {

struct Address {
  std::string host;
  std::uint16_t port;
};

struct Options {
  Address address;
  bool tls = false;
  std::string ca_file;  // PEM; empty: the certificates of the system
  std::string user;     // ACL user; empty: the default user
  std::string password;
  int database = 0;
  std::chrono::milliseconds timeout{250};  // of one call without its own deadline
  std::size_t max_waiting = 20'000;        // calls without a reply, per node
  std::size_t max_reply = 1U << 30;        // bytes; a longer reply closes the connection
  std::string_view log_tag = log::tag::kGate;
};

// redis://[user[:password]@]host[:port][/database], rediss:// for TLS. Throws std::invalid_argument with the error.
Options parse_url(std::string_view url);

// One command in wire form.
class Command {
 public:
  // `key` selects the node when Redis is a cluster. Empty: any node.
  Command(std::initializer_list<std::string_view> arguments, std::string_view key = {})
      : Command(std::span(arguments.begin(), arguments.size()), key) {}
  Command(std::span<const std::string_view> arguments, std::string_view key = {});

  std::string_view bytes() const { return bytes_; }
  int slot() const { return slot_; }  // -1: any node

 private:
  std::string bytes_;
  int slot_;
};

inline constexpr std::size_t kSlots = 16'384;

// The error of a cluster node that does not serve the slot of a key.
struct Redirection {
  bool ask;  // only for this command, with ASKING; false: the slot has moved (MOVED)
  std::size_t slot;
  Address address;
};

// Parses "MOVED 3999 10.0.0.2:6381" and "ASK 3999 host:6381". An empty host stands for `answering_host`.
std::optional<Redirection> parse_redirection(std::string_view text, const std::string& answering_host);

}  // namespace sealcast::client::redis
