// What is asked of Redis, and where: addresses, commands in wire form, and a cluster's redirections.
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
  std::string ca_file;  // PEM; empty: the system's certificates
  std::string user;     // ACL user; empty: the default user
  std::string password;
  int database = 0;
  std::chrono::milliseconds timeout{250};  // of one call, unless it brings a deadline of its own
  std::size_t max_waiting = 20'000;        // calls without a reply yet, for each node
  std::size_t max_reply = 1U << 30;        // bytes; a connection that brings more is given up
  std::string_view log_tag = log::tag::kGate;
};

// redis://[user[:password]@]host[:port][/database], rediss:// for TLS. Throws std::invalid_argument saying what is
// wrong.
Options parse_url(std::string_view url);

// One command in wire form.
class Command {
 public:
  // `key` decides the node when Redis is a cluster; empty: any.
  Command(std::initializer_list<std::string_view> arguments, std::string_view key = {})
      : Command(std::span(arguments.begin(), arguments.size()), key) {}
  Command(std::span<const std::string_view> arguments, std::string_view key = {});

  std::string_view bytes() const { return bytes_; }
  int slot() const { return slot_; }  // -1: any

 private:
  std::string bytes_;
  int slot_;
};

inline constexpr std::size_t kSlots = 16'384;

// What a node of a cluster says of a key that it does not have.
struct Redirection {
  bool ask;  // this once, with ASKING; else the slot has moved for good
  std::size_t slot;
  Address address;
};

// "MOVED 3999 10.0.0.2:6381", "ASK 3999 host:6381"; an empty host means the one that answered, `home`.
std::optional<Redirection> parse_redirection(std::string_view text, const std::string& home);

}  // namespace sealcast::client::redis
