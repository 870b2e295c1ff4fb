// Switching: brings a stream that many watch to another transport, readers and all, and back when it is calm again.
//
// What is due, and what a step does, is the database's word (sealcast.due_switches, sealcast.switch_stream): the leader
// of a stream's shard asks each second and takes the steps, each one transaction under the epoch of its lease. So
// whoever leads next goes on where the row says. Outside the database are only the webhook, which is called until it
// answers, and by which transports this sidecar delivers, which it reads anew when a step has changed it.
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
#include "leader/leader_loop.h"
#include "leader/switching/webhook.h"

namespace sealcast::leader::switching {

struct SwitchingSettings {
  std::string dsn;
  std::chrono::milliseconds timeout;  // of a statement
  std::string target;                 // a transport; empty: none, set_delivery_mode() sets the mode and nothing else
  std::string home;                   // where readers go back to
  std::int32_t soft;                  // viewers
  std::int32_t hard;
  std::int32_t low;
  std::chrono::milliseconds hold;     // below `low`
  std::chrono::milliseconds window;   // both transports carry the stream
  std::chrono::milliseconds overlap;  // a reader reads both
  std::chrono::milliseconds repeat;   // readers are told where the stream is
};

class Switching {
 public:
  struct Parts {
    Metrics& metrics;
    LeaderLoop::Leads leads;
    std::function<void()> told;                      // a message to readers was sent
    std::function<asio::awaitable<void>()> reroute;  // has the transports follow the modes that the database has now
    // The name of a stream's channel on a transport, and the ticket that opens it; empty where there is none.
    std::function<std::string(std::string_view transport, std::string_view stream_id)> channel_of;
    std::function<std::string(std::string_view transport, std::string_view stream_id)> ticket;
    std::unique_ptr<Webhook> webhook;  // null: none
  };

  Switching(asio::any_io_executor executor, SwitchingSettings settings, Parts parts);

  void start() { loop_.start(); }
  void stop();

 private:
  struct Step {
    std::string stream_id;
    std::string action;
    std::string step;  // where the stream stands
    std::int32_t viewers;
    std::string warm_up;  // empty: none yet
  };
  // A call of the webhook that was not taken yet.
  struct Notice {
    bool under_way = false;
    std::chrono::milliseconds pause{0};
    std::chrono::steady_clock::time_point next{};
  };

  asio::awaitable<void> tick(const LedShards& led);
  asio::awaitable<std::vector<Step>> due(const LedShards& led);
  asio::awaitable<bool> take(const LedShards& led, const Step& step);
  void notify(const Step& step);
  asio::awaitable<void> call_webhook(Step step, std::string id);
  std::string migrate(const Step& step) const;
  void show(const std::vector<Step>& steps);

  asio::any_io_executor executor_;
  SwitchingSettings settings_;
  Parts parts_;
  LeaderLoop loop_;
  std::unordered_map<std::string, Notice> notices_;  // by id
};

}  // namespace sealcast::leader::switching
