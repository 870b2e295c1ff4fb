// The gate socket: the Unix socket through which sealcast_internal.gate() in Postgres asks this sidecar's gate.
// Postgres sends lines `check <sender_id> <stream_id> <t> <txn_id> [<text>]`. The sidecar answers each line with one
// line, in the same order: `pass`, `seen`, `limited <ms> <limit>`, `slowed <ms>`, `repeated <ms>`, `copied <ms>`,
// `text` (ask again with the hash of the text), `unavailable <ms>` or `error <text>`. After `error` it closes the
// connection.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>

#include "base/asio.h"
#include "base/event.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "message/gate.h"
#include "message/limits.h"

namespace sealcast::message {

class GateSocket {
 public:
  static constexpr std::size_t kMaxConnections = 1'024;
  static constexpr std::size_t kMaxPipelined = 64;  // maximum number of checks of one connection that run at once

  // `gate`, `limits` and `metrics` must stay valid as long as this object. `settings.socket` must not be empty.
  GateSocket(asio::any_io_executor executor, Gate& gate, Limits& limits, Metrics& metrics,
             const config::Settings::Gate& settings);
  ~GateSocket();

  // Binds and listens. Replaces a socket that a killed process has left. Throws std::runtime_error, which names the
  // path and what to do next, if the path exists and is no socket, another process listens on it, the socket cannot be
  // bound, or the group does not exist or cannot be set.
  void start();
  // Stops accepting and removes the socket. Closes each connection as soon as the checks that have arrived on it are
  // answered.
  void stop();
  std::size_t connections() const;
  // Returns true as soon as no connection is open, and false at `deadline`.
  asio::awaitable<bool> wait_closed(Event::Clock::time_point deadline);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::message
