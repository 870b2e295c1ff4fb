// Runs the rounds of checks. The checks of one round run concurrently.
#include "message/gate_health.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include "base/event.h"
#include "client/redis/topology.h"

namespace sealcast::message {
namespace {

constexpr std::chrono::milliseconds kRoundEvery{1000};
constexpr std::size_t kShares = 64;  // of the slots of a cluster

// Returns for each share of the slots the name of a sender whose keys have a slot of this share.
std::vector<std::string> make_senders() {
  std::vector<std::string> senders(kShares);
  std::size_t missing = kShares;
  for (int n = 0; missing > 0; ++n) {
    std::string sender = "?health-" + std::to_string(n);
    const auto slot = static_cast<std::size_t>(redis::slot_of("{" + sender + "}"));
    std::string& of_share = senders[slot * kShares / redis::kSlots];
    if (!of_share.empty()) continue;
    of_share = std::move(sender);
    --missing;
  }
  return senders;
}

}  // namespace

class GateHealth::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, const redis::Client& client, RedisGate& gate)
      : executor_(std::move(executor)), client_(client), gate_(gate), senders_(make_senders()), stopped_(executor_) {}

  asio::awaitable<void> run() {
    while (!stopped_.is_set()) {
      co_await round();
      co_await stopped_.wait_for(kRoundEvery);
    }
  }

  void stop() { stopped_.set(); }
  const asio::any_io_executor& executor() const { return executor_; }

  std::string problem() const {
    if (!gate_.ready()) return "no connection";
    if (failed_rounds_ == 1 && succeeded_) return {};
    return problem_;
  }

 private:
  struct Round {
    Round(const asio::any_io_executor& executor, std::size_t checks) : running(checks), done(executor) {}
    std::size_t running;
    std::size_t failed = 0;
    std::string reason;
    Event done;
  };

  asio::awaitable<void> round() {
    // One server may turn out to be a node of a cluster, so the first successful round checks all shares.
    const std::size_t checks = client_.is_cluster() || !succeeded_ ? kShares : 1;
    const auto round = std::make_shared<Round>(executor_, checks);
    for (std::size_t n = 0; n < checks; ++n) asio::co_spawn(executor_, check(round, senders_[n]), asio::detached);
    co_await round->done.wait_until();
    failed_rounds_ = round->failed == 0 ? 0 : failed_rounds_ + 1;
    succeeded_ = succeeded_ || round->failed == 0;
    problem_ = std::move(round->reason);
    if (client_.is_cluster() && round->failed > 0 && round->failed < checks) {
      problem_ = std::to_string(round->failed) + " of " + std::to_string(checks) +
                 " parts of the cluster's slots accept no writes: " + problem_;
    }
  }

  asio::awaitable<void> check(std::shared_ptr<Round> round, const std::string& sender) {
    const std::string problem = co_await gate_.try_write(sender);
    if (!problem.empty()) {
      ++round->failed;
      round->reason = problem;
    }
    if (--round->running == 0) round->done.set();
  }

  asio::any_io_executor executor_;
  const redis::Client& client_;
  RedisGate& gate_;
  const std::vector<std::string> senders_;
  Event stopped_;
  std::string problem_ = "Redis was not checked yet";
  std::size_t failed_rounds_ = 0;  // in a row
  bool succeeded_ = false;         // at least one round has had no failure
};

GateHealth::GateHealth(asio::any_io_executor executor, const redis::Client& client, RedisGate& gate)
    : impl_(std::make_shared<Impl>(std::move(executor), client, gate)) {}
GateHealth::~GateHealth() { impl_->stop(); }

void GateHealth::start() {
  asio::co_spawn(
      impl_->executor(), [impl = impl_] { return impl->run(); }, asio::detached);
}
void GateHealth::stop() { impl_->stop(); }
std::string GateHealth::problem() const { return impl_->problem(); }

}  // namespace sealcast::message
