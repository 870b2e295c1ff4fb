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
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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

  void start() { loop_.start(); }
  void stop();

 private:
  struct DueAction {
    std::string stream_id;
    std::string action;  // empty: nothing to do
    std::string step;    // of the stream
    std::int32_t viewers;
    std::string warm_up;  // empty: there is no warm-up yet
  };
  // A call of the webhook that is not recorded as accepted yet.
  struct WebhookCall {
    bool in_flight = false;
    std::chrono::milliseconds pause{0};  // after the last failure
    std::chrono::steady_clock::time_point next_try{};
  };

  asio::awaitable<LeaderLoop::Milliseconds> tick(const LedShards& led);
  asio::awaitable<std::vector<DueAction>> due_actions(const LedShards& led);
  asio::awaitable<bool> apply(const LedShards& led, const DueAction& due);
  void call_webhook(const DueAction& due);
  asio::awaitable<void> make_call(DueAction due, std::string id);
  std::string migrate_payload(const DueAction& due) const;
  void update_metrics(const std::vector<DueAction>& actions);
  void forget_obsolete_calls(const std::vector<DueAction>& actions);

  asio::any_io_executor executor_;
  const config::Settings::Switching& settings_;
  Parts parts_;
  LeaderLoop loop_;
  std::unordered_map<std::string, WebhookCall> calls_;  // by webhook-id
};

}  // namespace sealcast::leader::switching
