// Heartbeats against a real Redis: how well they are counted, and what happens when Redis does not answer.
#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <cmath>
#include <limits>

#include "base/asio.h"
#include "leader/viewers/buckets.h"
#include "leader/viewers/heartbeats.h"
#include "leader/viewers/hls.h"
#include "support/async.h"
#include "support/redis_server.h"

namespace sealcast::leader {
namespace {

using std::chrono::milliseconds;

const std::vector<std::int32_t> kShards{0, 1, 2, 3};

std::string stream_id(int n) { return "0190d000-0000-7000-8000-0000000000" + std::to_string(10 + n); }

class AudienceTest : public testing::Test {
 protected:
  void open(milliseconds window, std::size_t max_waiting = 1'000'000) {
    redis::Options options = server_.options();
    options.timeout = kTimeout;
    client_ = std::make_unique<redis::Client>(io_.get_executor(), options);
    client_->start();
    heartbeats_ = std::make_unique<viewers::Heartbeats>(io_.get_executor(), *client_, metrics_,
                                                        viewers::HeartbeatSettings{window, kTimeout, max_waiting});
    hls_ = std::make_unique<viewers::HlsViewers>(io_.get_executor(), *client_, window, kTimeout);
    ASSERT_TRUE(test::run_until(io_, [&] { return client_->connected(); }));
  }

  viewers::Heartbeat beat(const std::string& stream, const std::string& viewer) {
    return test::await(io_, heartbeats_->beat(stream, viewer));
  }

  // All at once.
  void crowd(const std::string& stream, int viewers) {
    int answered = 0;
    std::vector<std::string> names;
    for (int i = 0; i < viewers; ++i) names.push_back("viewer " + std::to_string(i));
    for (const std::string& name : names) {
      asio::co_spawn(io_, heartbeats_->beat(stream, name), [&](std::exception_ptr, viewers::Heartbeat outcome) {
        answered += outcome == viewers::Heartbeat::counted;
      });
    }
    ASSERT_TRUE(test::run_until(io_, [&] { return answered == viewers; }));
  }

  std::optional<viewers::ViewerCounts> count(const std::vector<std::int32_t>& shards = kShards) {
    return test::await(io_, hls_->count(shards));
  }

  static constexpr milliseconds kTimeout{2000};
  test::RedisServer server_;
  asio::io_context io_;
  Metrics metrics_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<viewers::Heartbeats> heartbeats_;
  std::unique_ptr<viewers::HlsViewers> hls_;
};

TEST_F(AudienceTest, AHundredThousandViewersAreCountedWithinTwoPercent) {
  open(milliseconds(600'000));
  constexpr int kViewers = 100'000;
  constexpr int kStreams = 10;
  for (int n = 0; n < kStreams; ++n) crowd(stream_id(n), kViewers);
  const auto counts = count();
  ASSERT_TRUE(counts);
  double worst = 0;
  for (int n = 0; n < kStreams; ++n) {
    const double error = std::abs(counts->at(stream_id(n)) - kViewers) / static_cast<double>(kViewers);
    EXPECT_LT(error, 0.02) << counts->at(stream_id(n));
    worst = std::max(worst, error);
  }
  RecordProperty("worst_error_percent", std::to_string(100 * worst));
  EXPECT_EQ(metrics_.heartbeats_counted.Value(), kViewers * kStreams);
}

TEST_F(AudienceTest, AViewerCountsOnceHoweverOftenAndWhereItBeats) {
  open(milliseconds(600'000));
  for (const char* viewer : {"a", "b", "a", "a"}) EXPECT_EQ(beat(stream_id(1), viewer), viewers::Heartbeat::counted);
  EXPECT_EQ(beat(stream_id(2), "a"), viewers::Heartbeat::counted);
  const auto counts = count();
  ASSERT_TRUE(counts);
  EXPECT_EQ(*counts, (viewers::ViewerCounts{{stream_id(1), 2}, {stream_id(2), 1}}));
}

TEST_F(AudienceTest, CountsTheShardsThatItIsAskedFor) {
  open(milliseconds(600'000));
  for (int n = 0; n < 4; ++n) EXPECT_EQ(beat(stream_id(n), "a"), viewers::Heartbeat::counted);  // …10 to …13, in hex
  EXPECT_EQ(count({1}), (viewers::ViewerCounts{{stream_id(1), 1}}));
  EXPECT_EQ(count({0, 2}), (viewers::ViewerCounts{{stream_id(0), 1}, {stream_id(2), 1}}));
}

TEST_F(AudienceTest, WhoSendsNoHeartbeatAnyMoreIsGoneAfterTheWindow) {
  open(milliseconds(300));
  EXPECT_EQ(beat(stream_id(1), "a"), viewers::Heartbeat::counted);
  EXPECT_EQ(count(), (viewers::ViewerCounts{{stream_id(1), 1}}));
  ASSERT_TRUE(test::run_until(io_, [&] { return count() == viewers::ViewerCounts{}; }));
  ASSERT_TRUE(test::run_until(io_, [&] { return server_.command({"DBSIZE"}) == "0"; })) << "keys without an expiry";
}

TEST_F(AudienceTest, WhatRedisHoldsDoesNotNameTheViewer) {
  server_.command({"CONFIG", "SET", "slowlog-log-slower-than", "0"});
  open(milliseconds(600'000));
  EXPECT_EQ(beat(stream_id(1), "somebody@example.org"), viewers::Heartbeat::counted);
  const std::string seen = server_.command({"EVAL", "return cjson.encode(redis.call('SLOWLOG', 'GET', 128))", "0"});
  EXPECT_NE(seen.find("PFADD"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("somebody"), std::string::npos);
}

TEST_F(AudienceTest, RedisAwayIsToldAndNotCountedAsNobody) {
  open(milliseconds(300));
  EXPECT_EQ(beat(stream_id(1), "a"), viewers::Heartbeat::counted);
  server_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return !client_->connected(); }));
  EXPECT_EQ(beat(stream_id(1), "a"), viewers::Heartbeat::unavailable);
  EXPECT_EQ(count(), std::nullopt);
  server_.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return client_->connected(); }));
  EXPECT_EQ(count(), std::nullopt) << "empty, since nobody could send a heartbeat";
  ASSERT_TRUE(test::run_until(io_, [&] {
    return beat(stream_id(1), "a") == viewers::Heartbeat::counted &&
           count() == viewers::ViewerCounts{{stream_id(1), 1}};
  }));
}

TEST(ViewerCountsTest, WhatIsSaidOfViewersIsBounded) {
  EXPECT_EQ(viewers::bounded_viewers(12), 12);
  EXPECT_EQ(viewers::bounded_viewers(-1), 0);
  const std::int32_t most = viewers::bounded_viewers(std::numeric_limits<std::int64_t>::max());
  EXPECT_GT(most, 1'000'000'000);
  EXPECT_LE(std::int64_t{most} + most, std::numeric_limits<std::int32_t>::max());
}

TEST_F(AudienceTest, TheQueueIsBounded) {
  open(milliseconds(600'000), 10);
  const std::string stream = stream_id(1);  // which outlives what is spawned
  std::map<viewers::Heartbeat, int> outcomes;
  int answered = 0;
  for (int i = 0; i < 30; ++i) {
    asio::co_spawn(io_, heartbeats_->beat(stream, "viewer"), [&](std::exception_ptr, viewers::Heartbeat outcome) {
      ++outcomes[outcome];
      ++answered;
    });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return answered == 30; }));
  EXPECT_EQ(outcomes[viewers::Heartbeat::counted], 10);
  EXPECT_EQ(outcomes[viewers::Heartbeat::overloaded], 20);
  EXPECT_EQ(beat(stream_id(1), "viewer"), viewers::Heartbeat::counted) << "room again";
}

}  // namespace
}  // namespace sealcast::leader
