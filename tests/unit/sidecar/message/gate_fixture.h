// The gate with a Redis of its own, as the tests of the gate use it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/asio.h"
#include "message/redis_gate.h"
#include "support/async.h"
#include "support/redis_server.h"

namespace sealcast::message {

using std::chrono::milliseconds;
using test::RedisServer;

inline const std::string kAlice = "0a8f4a52-1c1e-4b8e-9d7e-3f2a1b0c9d8e";
inline const std::string kStream = "11111111-2222-4333-8444-555555555555";
inline const std::string kBob = "5b1e2c3d-0000-4000-8000-000000000001";

inline std::string txn(int n) {
  std::string digits = std::to_string(n);
  return "00000000-0000-4000-8000-" + std::string(12 - digits.size(), '0') + digits;
}

class GateTest : public testing::Test {
 protected:
  GateTest() {
    settings_.timeout = milliseconds(10'000);
    settings_.replay_window = milliseconds(900'000);
  }

  // Makes a new gate and connects it to `server`.
  void open(const RedisServer& server, redis::Options options) {
    options.seeds.front().port = static_cast<std::uint16_t>(server.port());
    options.timeout = settings_.timeout;
    gate_.reset();
    client_ = std::make_unique<redis::Client>(io_.get_executor(), options);
    client_->start();
    gate_ = std::make_unique<RedisGate>(*client_, metrics_, settings_);
    test::run_until(io_, [&] { return client_->connected(); });
  }
  void open(const RedisServer& server) { open(server, server.options()); }

  GateAnswer check(const std::string& txn_id, int limit = 5, const std::string& sender = kAlice,
                   const std::string& t = "chat") {
    return test::await(io_, gate_->check({sender, t, txn_id, limit}));
  }
  GateOutcome outcome(const std::string& txn_id, int limit = 5, const std::string& sender = kAlice,
                      const std::string& t = "chat") {
    return check(txn_id, limit, sender, t).outcome;
  }

  // A check in a stream with a slow mode of 30 s.
  GateAnswer slowed_check(const std::string& txn_id, const std::string& stream = kStream,
                          const std::string& t = "chat") {
    return test::await(io_, gate_->check({kAlice, t, txn_id, 5, stream, std::chrono::seconds(30)}));
  }

  // A check in a stream in which a user repeats no text for 30 s.
  GateAnswer unique_check(const std::string& txn_id, const std::string& text, const std::string& sender = kAlice,
                          StreamLimits rules = {{}, std::chrono::seconds(30)}) {
    return test::await(io_, gate_->check({sender, "chat", txn_id, 9, kStream, rules, text}));
  }
  // A check in a stream in which two users send the same text within 30 s.
  GateAnswer raid_check(const std::string& txn_id, const std::string& text, const std::string& sender) {
    return unique_check(txn_id, text, sender, {{}, {}, 2, std::chrono::seconds(30)});
  }

  asio::io_context io_;
  Metrics metrics_;
  config::Settings::Gate settings_{};
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<RedisGate> gate_;
};

}  // namespace sealcast::message
