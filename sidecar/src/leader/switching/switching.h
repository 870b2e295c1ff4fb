// Switching: moves the readers of a stream with many viewers to another transport, and back when the viewers are few.
//
// The database decides: sealcast.due_switches() returns the due actions, and sealcast.switch_stream() applies one, in
// one transaction under the epoch of the lease. The leader of a stream's shard asks every second, so the next leader
// continues from the row of the stream. Only two things are outside the database: the webhook, which is called until
// it accepts, and the transports by which this sidecar delivers the stream, which it reads again after each action
// that changed them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "leader/leader_loop.h"
#include "leader/switching/webhook.h"

namespace sealcast::leader::switching {

class Switching {
 public:
  struct Parts {
    std::string dsn;
    std::chrono::milliseconds timeout;  // of a statement
    Metrics& metrics;
    LeaderLoop::Leads leads;
    std::function<void()> on_sent;                   // called after a message to the readers was sent
    std::function<asio::awaitable<void>()> reroute;  // reads again which transports carry which stream
    // Returns the name of a stream's channel on a transport; empty: it has none.
    std::function<std::string(std::string_view transport, std::string_view stream_id)> channel_of;
    // Returns a migration ticket for a stream on a transport; empty: the transport needs none.
    std::function<std::string(std::string_view transport, std::string_view stream_id)> ticket;
    std::unique_ptr<Webhook> webhook;  // null: there is no webhook
  };

  // `settings` outlives this. Without settings.target no readers move: a forced delivery mode is only set.
  Switching(asio::any_io_executor executor, const config::Settings::Switching& settings, Parts parts);
  ~Switching();

  void start();
  void stop();

 private:
  class Ticks;
  std::unique_ptr<Ticks> ticks_;
};

}  // namespace sealcast::leader::switching
