// Sampling in a chat storm: measures how fast each stream is and sets at what rate its public channel is sampled.
//
// Every sidecar measures every stream, since all messages pass through its relay; the leader of a stream's shard
// decides. So whoever takes over knows the velocity, and reads the rates in effect from Postgres with each tick. The
// statement (sealcast.sample_streams) looks at the epochs of the leases; which messages go to the public channel is
// then decided and stored when they get their offsets (sealcast.drain), the same for all transports, sidecars and
// resumes.
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
#include "leader/leader_loop.h"
#include "leader/sampling/rate_control.h"
#include "leader/sampling/velocity.h"
#include "transport/frame.h"

namespace sealcast::leader::sampling {

struct StormSettings {
  std::string dsn;
  std::chrono::milliseconds timeout;  // of a statement
  RateSettings rates;
  std::chrono::milliseconds repeat;
};

class Storm {
 public:
  // `leads` says what this sidecar leads, `told` is called when a sampling_update was sent.
  struct Parts {
    Metrics& metrics;
    LeaderLoop::Leads leads;
    std::function<void()> told;
  };

  Storm(asio::any_io_executor executor, StormSettings settings, Parts parts);

  void start() { loop_.start(); }
  void stop() { loop_.stop(); }

  // All that was relayed.
  void observe(std::span<const transport::FramePtr> frames) { velocity_.count(frames, Velocity::Clock::now()); }

 private:
  asio::awaitable<void> tick(const LedShards& led);
  struct Effect {
    int rate;
    bool forced;  // by somebody, who alone changes it
  };
  std::unordered_map<std::string, int> decide(const LedShards& led,
                                              const std::unordered_map<std::string, Effect>& in_effect);

  StormSettings settings_;
  Parts parts_;
  LeaderLoop loop_;
  postgres::Params params_;
  Velocity velocity_;
  std::unordered_map<std::string, RateControl> controls_;  // of streams that are fast or sampled
};

}  // namespace sealcast::leader::sampling
