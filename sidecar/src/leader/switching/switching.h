// Switching: moves the readers of a stream with many viewers to another transport, and back when the viewers are few.
//
// The database decides. The leader of a stream's shard calls sealcast_internal.due_switches() every second, which
// returns the due actions. sealcast_internal.switch_streams() applies many actions in one transaction, under the epochs
// of the leases. All state is in the rows of the streams, so a new leader continues where the last one stopped.
//
// The sidecar itself has two tasks. It calls the webhook until the webhook accepts or the call is no longer due
// (webhook_calls.h). And after each action that changes the transports of a stream, it reads again which transports
// carry which stream.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/webhook/webhook.h"
#include "config/settings.h"
#include "leader/leader_loop.h"

namespace sealcast::leader::switching {

class Switching {
 public:
  struct Parts {
    postgres::Dsn dsn;
    std::chrono::milliseconds timeout;  // of each statement
    Metrics& metrics;
    LeaderLoop::Leads leads;
    std::function<void()> on_sent;                   // called after an action has sent a probe or a migrate message
    std::function<asio::awaitable<void>()> reroute;  // reads again which transports carry which stream
    // Returns the name of the channel or topic that carries a stream on a transport. Returns an empty text if there is
    // none.
    std::function<std::string(std::string_view transport, std::string_view stream_id)> channel_of;
    std::function<bool(std::string_view transport)> needs_token;  // whether readers need a token for the transport
    // Returns how many readers per second may move to the transport. 0: there is no limit.
    std::function<std::int32_t(std::string_view transport)> readers_per_second;
    std::unique_ptr<client::webhook::Webhook> webhook;  // null if no webhook is configured
  };

  // `settings` must stay valid as long as this object. If `settings.target` is empty, no readers move. The delivery
  // mode that an owner has set is then only written into the stream's row.
  Switching(asio::any_io_executor executor, const config::Settings::Switching& settings, Parts parts);
  ~Switching();

  void start();
  void stop();
  // Calls the webhook again that has answered 410.
  void resume_webhook();

 private:
  class Ticks;
  std::unique_ptr<Ticks> ticks_;
};

}  // namespace sealcast::leader::switching
