// Tests the estimate of the events that Supabase Realtime counts.
#include "transport/supabase/load.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sealcast::transport::supabase {
namespace {

using namespace std::chrono_literals;

client::http::Answer answer_with(std::string limit, std::string remaining = "") {
  client::http::Answer answer;
  answer.status = 202;
  answer.headers = {{"x-rate-limit", std::move(limit)}, {"x-rate-limit-remaining", std::move(remaining)}};
  return answer;
}

class LoadTest : public testing::Test {
 protected:
  LoadTest() { load_.count_in(metrics_); }

  // Makes one broadcast per second to this number of readers, and returns what is logged.
  std::string broadcast(std::int64_t readers, int seconds, const client::http::Answer& answer) {
    testing::internal::CaptureStderr();
    for (int i = 0; i < seconds; ++i) load_.add(readers, answer, now_ += 1s);
    return testing::internal::GetCapturedStderr();
  }

  Metrics metrics_;
  Load load_;
  Load::Clock::time_point now_ = Load::Clock::now();
};

TEST_F(LoadTest, ABroadcastTo500ReadersIs501Events) {
  broadcast(500, 30, answer_with("500"));
  EXPECT_DOUBLE_EQ(load_.events_per_second(now_), 501);
  const std::string text = metrics_.render();
  EXPECT_NE(text.find("sealcast_supabase_events_total 15030\n"), std::string::npos) << text;
  EXPECT_NE(text.find("sealcast_supabase_events_limit 500\n"), std::string::npos) << text;
}

TEST_F(LoadTest, TheAverageIsThatOfTheLastMinute) {
  broadcast(99, 60, answer_with(""));
  EXPECT_DOUBLE_EQ(load_.events_per_second(now_), 100);
  EXPECT_DOUBLE_EQ(load_.events_per_second(now_ + 31s), 50);
  EXPECT_DOUBLE_EQ(load_.events_per_second(now_ + 70s), 0);
}

TEST_F(LoadTest, WarnsFrom80PercentOfTheLimitAtMostOncePerMinute) {
  EXPECT_EQ(broadcast(78, 59, answer_with("100")), "");
  const std::string warned = broadcast(100, 59, answer_with("100"));
  EXPECT_NE(warned.find("\"limit\":100"), std::string::npos) << warned;
  EXPECT_EQ(std::count(warned.begin(), warned.end(), '\n'), 1) << warned;
  EXPECT_NE(broadcast(100, 60, answer_with("100")), "");
}

TEST_F(LoadTest, WithoutTheHeaderThereIsNoLimit) {
  for (const char* limit : {"", "many", "10 per second"}) EXPECT_EQ(broadcast(1000, 60, answer_with(limit)), "");
  EXPECT_EQ(broadcast(1000, 60, client::http::Answer()), "");
}

TEST(NearRequestLimitTest, IsTrueWhenATenthRemains) {
  EXPECT_NE(near_request_limit(answer_with("100", "10")), "");
  EXPECT_NE(near_request_limit(answer_with("100", "-3")), "");
  EXPECT_EQ(near_request_limit(answer_with("100", "11")), "");
  EXPECT_EQ(near_request_limit(answer_with("100", "")), "");
  EXPECT_EQ(near_request_limit(client::http::Answer()), "");
}

}  // namespace
}  // namespace sealcast::transport::supabase
