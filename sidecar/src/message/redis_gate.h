// The gate in Redis: one Lua script, one round trip, pipelined with whatever else waits.
#pragma once

#include <array>
#include <chrono>
#include <string>

#include "base/asio.h"
#include "base/log.h"
#include "base/metrics.h"
#include "client/redis/client.h"
#include "client/redis/script.h"
#include "config/settings.h"
#include "message/gate.h"

namespace sealcast::message {

struct RedisGateSettings {
  std::chrono::milliseconds timeout;        // of one check, with whatever it takes to send the script again
  std::chrono::milliseconds replay_window;  // how long a txn_id is remembered
};

class RedisGate final : public Gate {
 public:
  // `client` and `metrics` outlive the gate.
  RedisGate(redis::Client& client, Metrics& metrics, RedisGateSettings settings);

  asio::awaitable<GateAnswer> check(GateRequest request) override;
  bool ready() const override { return client_.connected(); }

 private:
  redis::Command command(const GateRequest& request, std::string_view verb, std::string_view script) const;
  void log_unavailable(const redis::Result& result);

  redis::Client& client_;
  Metrics& metrics_;
  std::array<prometheus::Counter*, kGateOutcomes> checks_;  // by outcome
  RedisGateSettings settings_;
  std::string replay_window_;
  redis::Script script_;
  log::Throttle complaints_;
};

// How to reach the Redis of the gate. Throws SettingsError when the password file cannot be read.
redis::Options gate_redis_options(const config::Settings::Gate& settings);

}  // namespace sealcast::message
