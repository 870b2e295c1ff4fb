// Where a Redis is, how it is run (one server, a cluster, or a master that sentinels watch), and the options of a
// client.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/secret.h"
#include "base/tls.h"
#include "client/names.h"

namespace sealcast::client::redis {

struct Address {
  std::string host;
  std::uint16_t port = 0;
  std::string path{};  // a Unix socket; if it is not empty, host and port are unused

  bool operator==(const Address&) const = default;
  std::string text() const;  // for logs: host:port or the path
};

struct Options {
  // The servers of the settings: one server, several nodes of a cluster, or the sentinels of `sentinel_master`.
  std::vector<Address> seeds;
  std::string sentinel_master;  // name of the master that the sentinels watch; empty: the seeds are no sentinels
  Secret sentinel_password;     // for the sentinels; empty: they need none
  bool tls = false;
  TlsFiles tls_files{};  // used if tls is true
  std::string user;      // name of an ACL user; empty: the default user
  Secret password;
  int database = 0;
  std::chrono::milliseconds timeout{250};  // for each call that has no deadline of its own
  std::size_t max_waiting = 20'000;        // maximum of calls without a reply, per node
  std::size_t max_reply = 1U << 30;        // in bytes; the client closes the connection on a longer reply
  std::string_view log_tag = log::tag::kGate;

  // Several seeds without a sentinel are a cluster. Any other server may turn out to be a node of one.
  bool needs_cluster() const { return seeds.size() > 1 && sentinel_master.empty(); }
};

// Parses the URL of a Redis. Throws std::invalid_argument; its message describes the error in the URL and never quotes
// it.
//   redis://[user[:password]@]host[:port][/database]              one server
//   redis://[user[:password]@]host[:port],host[:port]…            nodes of a cluster
//   redis+sentinel://[user[:password]@]host[:port],…/NAME[/database]  the sentinels of the master NAME
//   unix://[user[:password]@]/path[?db=database]                  a Unix socket
// rediss:// and rediss+sentinel:// mean TLS.
Options parse_url(std::string_view url);

// The forms of a URL, for the message that refuses another one.
inline constexpr std::string_view kUrlForms =
    "redis://[user@]host[:port][/database], redis://host:port,host:port,… for a cluster, "
    "redis+sentinel://host:port,…/MASTER[/database], or unix:///path[?db=database]; rediss:// and rediss+sentinel:// "
    "mean TLS";

}  // namespace sealcast::client::redis
