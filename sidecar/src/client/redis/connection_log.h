// Writes to the log which connections of a client come and go. It writes at most one line per second, so that a
// failover does not fill the log. A change that another one follows within the second is not written.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "client/redis/options.h"

namespace sealcast::client::redis {

class ConnectionLog : public std::enable_shared_from_this<ConnectionLog> {
 public:
  ConnectionLog(const asio::any_io_executor& executor, std::string_view tag) : tag_(tag), timer_(executor) {}

  // `node` names the node whose connection has changed. An empty `reason` means that it is connected.
  void report(const std::string& node, const Address& address, std::string_view reason);
  void forget(const std::string& node);
  void note_loss() { last_loss_ = Clock::now(); }
  std::chrono::steady_clock::time_point last_loss() const { return last_loss_; }  // of an established connection
  void stop() { timer_.cancel(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    Address address;
    std::string reason;
    bool operator==(const State&) const = default;
  };

  void write_next();

  std::string_view tag_;
  asio::steady_timer timer_;
  Clock::time_point next_line_{};
  bool timing_ = false;
  Clock::time_point last_loss_{};
  std::map<std::string, State> written_;                 // by node
  std::deque<std::pair<std::string, State>> waiting_{};  // at most one entry for each node
};

}  // namespace sealcast::client::redis
