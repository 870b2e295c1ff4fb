// Tests when a stream, or the whole transport, may publish again after a failure.
#include "transport/outside/retry_schedule.h"

#include <gtest/gtest.h>

namespace sealcast::transport::outside {
namespace {

using std::chrono::milliseconds;
using Clock = RetrySchedule::Clock;

constexpr Clock::time_point kNow{std::chrono::hours(1)};

TEST(RetrySchedule, ReturnsStreamsInTheOrderOfTheirTimes) {
  StreamQueue first, second;
  RetrySchedule schedule;
  EXPECT_EQ(schedule.next_stream(), Clock::time_point::max());
  schedule.add(kNow + milliseconds(2), second);
  schedule.add(kNow + milliseconds(1), first);
  EXPECT_EQ(schedule.next_stream(), kNow + milliseconds(1));
  EXPECT_EQ(schedule.pop_due(kNow), nullptr) << "no stream is due yet";
  EXPECT_EQ(schedule.pop_due(kNow + milliseconds(2)), &first);
  EXPECT_EQ(schedule.pop_due(kNow + milliseconds(2)), &second);
  EXPECT_EQ(schedule.pop_due(kNow + milliseconds(2)), nullptr);
}

TEST(RetrySchedule, PausesAtLeastAsLongAsTheServiceAsks) {
  RetrySchedule schedule;
  EXPECT_TRUE(schedule.pause(kNow, milliseconds(500)));
  EXPECT_TRUE(schedule.paused());
  EXPECT_FALSE(schedule.may_publish(kNow + milliseconds(499)));
  EXPECT_GE(schedule.paused_until(), kNow + milliseconds(500));
  EXPECT_LE(schedule.paused_until(), kNow + milliseconds(700)) << "the first backoff is at most 200 ms";
  EXPECT_TRUE(schedule.may_publish(schedule.paused_until()));
  EXPECT_TRUE(schedule.paused()) << "until a publish succeeds";
}

TEST(RetrySchedule, DoesNotProlongAPause) {
  RetrySchedule schedule;
  EXPECT_TRUE(schedule.pause(kNow, milliseconds(500)));
  const auto until = schedule.paused_until();
  EXPECT_FALSE(schedule.pause(kNow + milliseconds(1), milliseconds(500)));
  EXPECT_EQ(schedule.paused_until(), until);
  EXPECT_EQ(schedule.failures(), 1);
  EXPECT_TRUE(schedule.pause(until, milliseconds(0)));
  EXPECT_EQ(schedule.failures(), 2);
}

TEST(RetrySchedule, EndsThePauseWithASuccess) {
  RetrySchedule schedule;
  schedule.pause(kNow, milliseconds(500));
  schedule.resume();
  EXPECT_FALSE(schedule.paused());
  EXPECT_TRUE(schedule.may_publish(kNow));
  EXPECT_EQ(schedule.failures(), 0);
}

}  // namespace
}  // namespace sealcast::transport::outside
