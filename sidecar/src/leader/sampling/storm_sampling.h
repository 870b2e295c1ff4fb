// Sampling in a chat storm: measures the velocity of each stream and sets the rate of its public channel.
//
// All messages pass through the relay of each sidecar, so each sidecar measures each stream. Only the leader of a
// stream's shard decides. So a new leader knows the velocities already, and each tick reads the rates in effect from
// Postgres. The statement (sealcast.sample_streams) compares the epochs of the leases. sealcast.drain chooses the
// messages of the public channel when it gives the offsets, and stores the choice. So the choice is the same for all
// transports, sidecars and readers that resume.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>

#include "base/asio.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "leader/leader_loop.h"
#include "leader/sampling/rate.h"
#include "transport/frame.h"

namespace sealcast::leader::sampling {

class StormSampling {
 public:
  struct Parts {
    std::string dsn;
    std::chrono::milliseconds timeout;  // of a statement
    Metrics& metrics;
    LeaderLoop::Leads leads;
    std::function<void()> on_sent;  // called after a sampling_update was sent
  };

  // `settings` outlives this.
  StormSampling(asio::any_io_executor executor, const config::Settings::Sampling& settings, Parts parts);

  void start() { loop_.start(); }
  void stop() { loop_.stop(); }

  // Takes every relayed frame.
  void observe(std::span<const transport::FramePtr> frames) { velocity_.count(frames, Velocity::Clock::now()); }

 private:
  struct Effect {
    int rate;
    bool forced;  // set by a person with set_sampling(): only a person changes it
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
  std::unordered_map<std::string, RateControl> controls_;  // of streams that are fast or sampled
};

}  // namespace sealcast::leader::sampling
