// Addresses and options of a Redis server, commands as bytes of the Redis protocol, and redirections of a cluster.
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
  std::string ca_file;  // a PEM file; empty: trust the certificates of the system
  std::string user;     // name of an ACL user; empty: the default user
  std::string password;
  int database = 0;
  std::chrono::milliseconds timeout{250};  // for each call that has no deadline of its own
  std::size_t max_waiting = 20'000;        // maximum of calls without a reply, per node
  std::size_t max_reply = 1U << 30;        // in bytes; the client closes the connection on a longer reply
  std::string_view log_tag = log::tag::kGate;
};

// Parses redis://[user[:password]@]host[:port][/database], or rediss:// for TLS. Throws std::invalid_argument; its
// message describes the error in the URL.
Options parse_url(std::string_view url);

// One command as bytes of the Redis protocol.
class Command {
 public:
  // `key` selects the node when Redis is a cluster. An empty `key` means that any node can execute the command.
  Command(std::initializer_list<std::string_view> arguments, std::string_view key = {})
      : Command(std::span(arguments.begin(), arguments.size()), key) {}
  Command(std::span<const std::string_view> arguments, std::string_view key = {});

  std::string_view bytes() const { return bytes_; }
  int slot() const { return slot_; }  // the cluster slot of the key; -1: any node

 private:
  std::string bytes_;
  int slot_;
};

inline constexpr std::size_t kSlots = 16'384;

// The content of the error MOVED or ASK, which a cluster node returns when it does not serve the slot of a key.
struct Redirection {
  bool ask;  // true: send only this command to `address`, after ASKING; false: the whole slot has moved there
  std::size_t slot;
  Address address;
};

// Parses the errors "MOVED 3999 10.0.0.2:6381" and "ASK 3999 host:6381". Returns nullopt for any other text. When the
// host in the text is empty, the address gets `answering_host`.
std::optional<Redirection> parse_redirection(std::string_view text, const std::string& answering_host);

}  // namespace sealcast::client::redis
