// Sampling in a chat storm: measures the velocity of each stream and sets the rate of its public channel.
//
// The relay of each sidecar gets all messages, so each sidecar measures all streams. Only the leader of a stream's
// shard decides the rate. A new leader can decide at once: it knows the velocities already, and each tick reads the
// rates in effect from Postgres. A leader that has lost its lease changes nothing, because
// sealcast_internal.sample_streams() compares the epochs of the leases.
//
// sealcast_internal.drain() applies the rates. It selects the messages of the public channel when it gives the offsets,
// and stores the selection. So all transports, all sidecars and readers that resume get the same messages.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>

#include "base/asio.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "leader/leader_loop.h"
#include "leader/sampling/rate.h"
#include "transport/frame.h"

namespace sealcast::leader::sampling {

class StormSampling {
 public:
  struct Parts {
    postgres::Dsn dsn;
    std::chrono::milliseconds timeout;  // of each statement
    Metrics& metrics;
    LeaderLoop::Leads leads;
    std::function<void()> on_sent;  // called after a sampling_update was sent
  };

  // `settings` must stay valid as long as this object.
  StormSampling(asio::any_io_executor executor, const config::Settings::Sampling& settings, Parts parts);

  void start() { loop_.start(); }
  void stop() { loop_.stop(); }

  // Counts frames. Must be called with every frame that the relay publishes.
  void observe(std::span<const transport::FramePtr> frames) { velocity_.count(frames, Velocity::Clock::now()); }

 private:
  struct Effect {
    int rate;
    bool forced;  // a person has set the rate by set_sampling(), so this class does not change it
  };
  using Effects = std::unordered_map<std::string, Effect>;  // by stream
  using Rates = std::unordered_map<std::string, int>;       // by stream

  asio::awaitable<LeaderLoop::Milliseconds> tick(const LedShards& led);
  Rates decide(const LedShards& led, const Effects& in_effect);

  const config::Settings::Sampling& settings_;
  Metrics& metrics_;
  std::function<void()> on_sent_;
  LeaderLoop loop_;
  Velocity velocity_;
  std::unordered_map<std::string, RateControl> controls_;  // by stream; only of sampled streams
  log::Throttle locked_throttle_;
};

}  // namespace sealcast::leader::sampling
