// Tests the counting of viewers by heartbeats in a real Redis: the error of the counts, and the behaviour while Redis
// is unavailable.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "base/asio.h"
#include "leader/viewers/followers.h"
#include "leader/viewers/heartbeat_viewers.h"
#include "leader/viewers/heartbeats.h"
#include "support/async.h"
#include "support/redis_server.h"

namespace sealcast::leader {
namespace {

using std::chrono::milliseconds;

const std::vector<std::int32_t> kShards{0, 1, 2, 3};

std::string stream_id(int n) { return "0190d000-0000-7000-8000-0000000000" + std::to_string(10 + n); }

class HeartbeatTest : public testing::Test {
 protected:
  void open(milliseconds window, std::size_t max_waiting = 1'000'000) {
    redis::Options options = server_.options();
    options.timeout = kTimeout;
    client_ = std::make_unique<redis::Client>(io_.get_executor(), options);
    client_->start();
    const config::Settings::Audience settings{
        .window = window, .update = {}, .max_waiting = max_waiting, .rate_per_address = 0};
    heartbeats_ = std::make_unique<viewers::Heartbeats>(io_.get_executor(), *client_, metrics_, settings, kTimeout);
    viewers_ = std::make_unique<viewers::HeartbeatViewers>(io_.get_executor(), *client_, window, kTimeout);
    ASSERT_TRUE(test::run_until(io_, [&] { return client_->connected(); }));
  }

  viewers::HeartbeatOutcome add(const std::string& stream, const std::string& viewer) {
    return test::await(io_, heartbeats_->add(stream, viewer));
  }

  // Adds `viewers` different viewers. The heartbeats of a group are simultaneous: a group takes much less than
  // kTimeout, also with a sanitizer.
  void add_crowd(const std::string& stream, int viewers) {
    constexpr int kGroup = 5'000;
    std::vector<std::string> names;
    for (int i = 0; i < viewers; ++i) names.push_back("viewer " + std::to_string(i));
    int started = 0, answered = 0;
    while (started < viewers) {
      for (const int end = std::min(started + kGroup, viewers); started < end; ++started) {
        asio::co_spawn(io_, heartbeats_->add(stream, names[static_cast<std::size_t>(started)]),
                       [&](std::exception_ptr, viewers::HeartbeatOutcome outcome) {
                         answered += outcome == viewers::HeartbeatOutcome::counted;
                       });
      }
      ASSERT_TRUE(test::run_until(io_, [&] { return answered == started; }));
    }
  }

  std::optional<viewers::ViewerCounts> count(const std::vector<std::int32_t>& shards = kShards) {
    return test::await(io_, viewers_->count(shards, std::nullopt));
  }

  static constexpr milliseconds kTimeout{2000};
  test::RedisServer server_;
  asio::io_context io_;
  Metrics metrics_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<viewers::Heartbeats> heartbeats_;
  std::unique_ptr<viewers::HeartbeatViewers> viewers_;
};

TEST_F(HeartbeatTest, AHundredThousandViewersAreCountedWithinTwoPercent) {
  open(milliseconds(600'000));
  constexpr int kViewers = 100'000;
  constexpr int kStreams = 10;
  for (int n = 0; n < kStreams; ++n) add_crowd(stream_id(n), kViewers);
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

TEST_F(HeartbeatTest, AViewerIsCountedOncePerStream) {
  open(milliseconds(600'000));
  for (const char* viewer : {"a", "b", "a", "a"})
    EXPECT_EQ(add(stream_id(1), viewer), viewers::HeartbeatOutcome::counted);
  EXPECT_EQ(add(stream_id(2), "a"), viewers::HeartbeatOutcome::counted);
  const auto counts = count();
  ASSERT_TRUE(counts);
  EXPECT_EQ(*counts, (viewers::ViewerCounts{{stream_id(1), 2}, {stream_id(2), 1}}));
}

TEST_F(HeartbeatTest, CountsOnlyTheRequestedShards) {
  open(milliseconds(600'000));
  for (int n = 0; n < 4; ++n)
    EXPECT_EQ(add(stream_id(n), "a"), viewers::HeartbeatOutcome::counted);  // ids …10 to …13 (hex): shards 0 to 3
  EXPECT_EQ(count({1}), (viewers::ViewerCounts{{stream_id(1), 1}}));
  EXPECT_EQ(count({0, 2}), (viewers::ViewerCounts{{stream_id(0), 1}, {stream_id(2), 1}}));
}

TEST_F(HeartbeatTest, AViewerWithoutHeartbeatsIsNotCountedAfterTheWindow) {
  open(milliseconds(300));
  EXPECT_EQ(add(stream_id(1), "a"), viewers::HeartbeatOutcome::counted);
  EXPECT_EQ(count(), (viewers::ViewerCounts{{stream_id(1), 1}}));
  ASSERT_TRUE(test::run_until(io_, [&] { return count() == viewers::ViewerCounts{}; }));
  ASSERT_TRUE(test::run_until(io_, [&] { return server_.command({"DBSIZE"}) == "0"; })) << "a key has no expiry";
}

TEST_F(HeartbeatTest, RedisNeverGetsTheNameOfAViewer) {
  server_.command({"CONFIG", "SET", "slowlog-log-slower-than", "0"});
  open(milliseconds(600'000));
  EXPECT_EQ(add(stream_id(1), "somebody@example.org"), viewers::HeartbeatOutcome::counted);
  const std::string seen = server_.command({"EVAL", "return cjson.encode(redis.call('SLOWLOG', 'GET', 128))", "0"});
  EXPECT_NE(seen.find("PFADD"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("somebody"), std::string::npos);
}

class FollowersTest : public HeartbeatTest {
 protected:
  std::unique_ptr<viewers::Followers> sidecar(milliseconds window, viewers::Followers::ReadStreams read_streams = {}) {
    if (!read_streams) read_streams = [] { return std::vector<std::string>(); };
    return std::make_unique<viewers::Followers>(io_.get_executor(), *client_, window, kTimeout, read_streams);
  }
  std::set<std::string> find(viewers::Followers& followers, const std::vector<std::int32_t>& shards = kShards) {
    const auto found = test::await(io_, followers.find(shards));
    if (!found) return {"unknown"};
    return {found->begin(), found->end()};
  }
  static transport::FramePtr frame(const std::string& stream, const std::string& sender) {
    const std::string envelope = R"({"v":1,"t":"chat","s":")" + sender + R"("})";
    transport::Frame made{.stream_id = stream};
    transport::append_frame(1, 0, sender.empty() ? "" : envelope, {}, made.text);
    return std::make_shared<const transport::Frame>(made);
  }
};

TEST_F(FollowersTest, EverySidecarFindsTheStreamsThatAreFollowedAtAnyOther) {
  open(milliseconds(600'000));
  const auto one = sidecar(milliseconds(600'000), [] { return std::vector{stream_id(1), stream_id(1), stream_id(2)}; });
  const auto other = sidecar(milliseconds(600'000));
  other->add(stream_id(3));
  EXPECT_EQ(find(*one), std::set<std::string>{});
  for (const auto* followers : {&one, &other, &one}) test::await(io_, (*followers)->record());
  EXPECT_EQ(find(*one), (std::set{stream_id(1), stream_id(2), stream_id(3)}));
  EXPECT_EQ(find(*other, {2}), std::set{stream_id(2)}) << "only the requested shards";
}

TEST_F(FollowersTest, AMessageOfAUserFollowsItsStreamAndOneOfTheSystemDoesNot) {
  open(milliseconds(600'000));
  const auto followers = sidecar(milliseconds(600'000));
  const std::vector frames{frame(stream_id(1), "0190d000-0000-7000-8000-0000000000b2"),
                           frame(stream_id(2), "00000000-0000-0000-0000-000000000000"), frame(stream_id(3), "")};
  followers->observe(frames);
  test::await(io_, followers->record());
  EXPECT_EQ(find(*followers), std::set{stream_id(1)});
}

TEST_F(FollowersTest, AStreamIsFollowedForOneWindowAndAsLongAsItHasReaders) {
  open(milliseconds(300));
  bool read = true;
  const auto followers =
      sidecar(milliseconds(300), [&] { return read ? std::vector{stream_id(1)} : std::vector<std::string>(); });
  followers->add(stream_id(2));
  followers->start();
  ASSERT_TRUE(test::run_until(io_, [&] { return find(*followers) == std::set{stream_id(1), stream_id(2)}; }));
  ASSERT_TRUE(test::run_until(io_, [&] { return find(*followers) == std::set{stream_id(1)}; }));
  read = false;
  ASSERT_TRUE(test::run_until(io_, [&] { return find(*followers).empty(); }));
  followers->stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return server_.command({"DBSIZE"}) == "0"; })) << "a key has no expiry";
}

TEST_F(FollowersTest, WithoutRedisTheFollowedStreamsAreUnknown) {
  open(milliseconds(300));
  const auto followers = sidecar(milliseconds(300));
  server_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return !client_->connected(); }));
  followers->add(stream_id(1));
  test::await(io_, followers->record());
  EXPECT_EQ(find(*followers), std::set<std::string>{"unknown"});
}

TEST_F(HeartbeatTest, WithoutRedisHeartbeatsFailAndThereIsNoCount) {
  open(milliseconds(300));
  EXPECT_EQ(add(stream_id(1), "a"), viewers::HeartbeatOutcome::counted);
  server_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return !client_->connected(); }));
  EXPECT_EQ(add(stream_id(1), "a"), viewers::HeartbeatOutcome::unavailable);
  EXPECT_EQ(count(), std::nullopt);
  server_.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return client_->connected(); }));
  EXPECT_EQ(count(), std::nullopt) << "incomplete until a window has passed";
  ASSERT_TRUE(test::run_until(io_, [&] {
    return add(stream_id(1), "a") == viewers::HeartbeatOutcome::counted &&
           count() == viewers::ViewerCounts{{stream_id(1), 1}};
  }));
}

TEST(ViewerCountsTest, StatedNumbersAreBounded) {
  EXPECT_EQ(viewers::bounded_viewers(12), 12);
  EXPECT_EQ(viewers::bounded_viewers(-1), 0);
  const std::int32_t highest = viewers::bounded_viewers(std::numeric_limits<std::int64_t>::max());
  EXPECT_GT(highest, 1'000'000'000);
  EXPECT_LE(std::int64_t{highest} + highest, std::numeric_limits<std::int32_t>::max());
}

TEST_F(HeartbeatTest, TheQueueIsBounded) {
  open(milliseconds(600'000), 10);
  const std::string stream = stream_id(1);  // must stay valid until the spawned coroutines have ended
  std::map<viewers::HeartbeatOutcome, int> outcomes;
  int answered = 0;
  for (int i = 0; i < 30; ++i) {
    asio::co_spawn(io_, heartbeats_->add(stream, "viewer"), [&](std::exception_ptr, viewers::HeartbeatOutcome outcome) {
      ++outcomes[outcome];
      ++answered;
    });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return answered == 30; }));
  EXPECT_EQ(outcomes[viewers::HeartbeatOutcome::counted], 10);
  EXPECT_EQ(outcomes[viewers::HeartbeatOutcome::overloaded], 20);
  EXPECT_EQ(add(stream_id(1), "viewer"), viewers::HeartbeatOutcome::counted) << "the queue has room again";
}

}  // namespace
}  // namespace sealcast::leader
