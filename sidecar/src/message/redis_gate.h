// The gate in Redis: each check is one call of a Lua script, in one round trip. Checks are pipelined. A stream that
// counts the copies of a text needs a second call: its key is on another node of a cluster than the sender's keys.
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

class RedisGate final : public Gate {
 public:
  // `client` and `metrics` must stay valid as long as this object. `settings.timeout` limits a whole check, including a
  // second call after NOSCRIPT.
  RedisGate(redis::Client& client, Metrics& metrics, const config::Settings::Gate& settings);

  asio::awaitable<GateAnswer> check(GateRequest request) override;
  bool ready() const override { return client_.connected(); }
  // Runs the script as a check of this sender would, in counters that expire after a second. Returns why Redis does not
  // run it, or an empty string.
  asio::awaitable<std::string> try_write(const std::string& sender);

 private:
  asio::awaitable<redis::Result> run(const GateRequest& request, redis::Clock::time_point deadline);
  redis::Command command(const GateRequest& request, std::string_view verb, std::string_view script) const;
  asio::awaitable<redis::Result> count_copies(const GateRequest& request, redis::Clock::time_point deadline);
  redis::Command copies_command(const GateRequest& request, std::string_view verb, std::string_view script) const;
  void log_unavailable(const redis::Result& result);

  redis::Client& client_;
  Metrics& metrics_;
  std::array<prometheus::Counter*, kGateOutcomes> checks_;  // by outcome
  std::chrono::milliseconds timeout_;
  std::string replay_window_;  // in ms
  redis::Script script_;
  redis::Script copies_script_;
  log::Throttle log_throttle_;
};

// Returns the options of a connection to the gate's Redis. Throws SettingsError if the password file cannot be read,
// and std::invalid_argument if the URL is invalid.
redis::Options gate_redis_options(const config::Settings::Gate& settings);

}  // namespace sealcast::message
