// Tests how the publisher applies outcomes to the transport.
#include "transport/outside/publisher.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "support/async.h"

namespace sealcast::transport::outside {
namespace {

using namespace std::chrono_literals;
using Clock = Adapter::Clock;

constexpr char kStream[] = "0190d000-0000-7000-8000-000000000001";
constexpr std::int64_t kEpoch = 7;

// Gives the next of these outcomes, and then accepts everything.
class ScriptedAdapter : public Adapter {
 public:
  std::size_t max_batch() const override { return 16; }
  void start() override {}
  void stop() override {}
  asio::awaitable<Outcome> publish(std::span<const FramePtr> frames, Clock::time_point) override {
    published.push_back({frames.front()->offset, Clock::now()});
    Outcome outcome;
    if (!outcomes.empty()) {
      outcome = outcomes.front();
      outcomes.erase(outcomes.begin());
    }
    co_return outcome;
  }

  struct Published {
    std::int64_t first;
    Clock::time_point at;
  };
  std::vector<Outcome> outcomes;
  std::vector<Published> published;
};

class PublisherTest : public testing::Test {
 protected:
  PublisherTest() {
    settings_.max_frames = 4096;
    settings_.max_bytes = 1'000'000;
    settings_.max_in_flight = 8;
    settings_.timeout = 1s;
    settings_.give_up = 1h;
    const Lead leads[] = {{.shard = 0, .epoch = kEpoch, .batch = 0}};
    queues_.progress.set_leads(leads);
  }

  asio::io_context io_;
  Metrics metrics_;
  postgres::Pool pool_{io_.get_executor(), {{}, "none", std::chrono::milliseconds(100)}, 1};
  config::Settings::Delivery settings_{};
  Routing routing_{io_.get_executor(), pool_, settings_};
  PersistenceWork work_{io_.get_executor()};
  StreamQueues queues_{"test", routing_, settings_, work_};
  ScriptedAdapter adapter_;
  Publisher publisher_{io_.get_executor(), "test", adapter_, queues_, work_, settings_, metrics_.delivery("test")};
};

TEST_F(PublisherTest, ATransportThatSlowsDownPausesAndContinuesAfterTheAcceptedFrames) {
  adapter_.outcomes = {{.kind = Outcome::Kind::slow_down, .delivered = 2, .after = 100ms, .reason = "near the limit"}};
  for (std::int64_t offset = 1; offset <= 3; ++offset) {
    queues_.add(std::make_shared<Frame>(Frame{kStream, offset, offset - 1, 0, offset, "{}"}), kEpoch, true);
  }
  publisher_.publish_ready();
  ASSERT_TRUE(test::run_until(io_, [&] { return adapter_.published.size() == 1 && publisher_.idle(); }));
  EXPECT_TRUE(publisher_.paused());
  EXPECT_EQ(queues_.frames(), 1u);
  ASSERT_TRUE(test::run_until(io_, [&] { return queues_.frames() == 0; }));
  ASSERT_EQ(adapter_.published.size(), 2u);
  EXPECT_EQ(adapter_.published[1].first, 3);
  EXPECT_GE(adapter_.published[1].at - adapter_.published[0].at, 100ms);
  EXPECT_FALSE(publisher_.paused());
  EXPECT_EQ(metrics_.delivery("test").delivered.Value(), 3);
  EXPECT_EQ(metrics_.delivery("test").retries.Value(), 0);
}

TEST_F(PublisherTest, ATransportThatSlowsDownGivesEachStreamItsTurn) {
  const std::string other = "00000000-0000-0000-0000-00000000000b";
  adapter_.outcomes = {{.kind = Outcome::Kind::slow_down, .delivered = 1, .after = 10ms, .reason = "near the limit"},
                       {.kind = Outcome::Kind::slow_down, .delivered = 1, .after = 10ms, .reason = "near the limit"}};
  for (std::int64_t offset = 1; offset <= 3; ++offset) {
    queues_.add(std::make_shared<Frame>(Frame{kStream, offset, offset - 1, 0, offset, "{}"}), kEpoch, true);
  }
  publisher_.publish_ready();
  queues_.add(std::make_shared<Frame>(Frame{other, 7, 0, 0, 4, "{}"}), kEpoch, true);
  ASSERT_TRUE(test::run_until(io_, [&] { return queues_.frames() == 0; }));
  ASSERT_GE(adapter_.published.size(), 2u);
  EXPECT_EQ(adapter_.published[1].first, 7);
}

}  // namespace
}  // namespace sealcast::transport::outside
