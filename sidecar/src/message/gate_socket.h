// The Unix socket through which sealcast.gate() in Postgres asks the same gate: `check <sender> <stream> <t> <txn>`
// a line, answered in order with `pass`, `seen`, `limited <ms>`, `unavailable <ms>` or `error <text>`.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/metrics.h"
#include "message/gate.h"
#include "message/limits.h"

namespace sealcast::message {

struct SocketServerSettings {
  std::string path;
  std::string group;  // may connect beside the process's own user; empty: the process's group
};

class SocketServer {
 public:
  static constexpr std::size_t kMaxConnections = 1'024;
  static constexpr std::size_t kMaxPipelined = 64;  // checks of one connection under way at once

  // The references outlive the server.
  SocketServer(asio::any_io_executor executor, Gate& gate, Limits& limits, Metrics& metrics,
               SocketServerSettings settings);
  ~SocketServer();

  // Binds and listens. Throws std::runtime_error naming the path and the fix: something else stands there, another
  // process answers on it, no such group. A socket that nobody answers on is replaced.
  void start();
  // Removes the socket, stops accepting, and closes each connection once the checks it has sent are answered.
  void stop();
  std::size_t connections() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::message
