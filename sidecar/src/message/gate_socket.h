// The gate socket: the Unix socket through which sealcast.gate() in Postgres asks the same gate. Each line is
// `check <sender_id> <stream_id> <t> <txn_id>`. The answers come in the order of the lines: `pass`, `seen`,
// `limited <ms>`, `unavailable <ms>` or `error <text>`.
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
  static constexpr std::size_t kMaxPipelined = 64;  // checks of one connection in progress at once

  // The references outlive this. `settings` must name a socket.
  GateSocket(asio::any_io_executor executor, Gate& gate, Limits& limits, Metrics& metrics,
             const config::Settings::Gate& settings);
  ~GateSocket();

  // Binds and listens. A stale socket is replaced. Throws std::runtime_error, which names the path and what to do next:
  // the path exists and is no socket, another process listens on it, or the group does not exist.
  void start();
  // Removes the socket, stops accepting, and closes each connection once the checks that it has sent are answered.
  void stop();
  std::size_t connections() const;
  // True once no connection is open, false at `deadline`.
  asio::awaitable<bool> wait_closed(Event::Clock::time_point deadline);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::message
