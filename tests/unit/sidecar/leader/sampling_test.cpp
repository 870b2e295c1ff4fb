// Tests the velocity of streams, and the rates at which streams are sampled.
#include <gtest/gtest.h>

#include "leader/sampling/rate.h"

namespace sealcast::leader {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = sampling::RateControl::Clock;

constexpr config::Settings::Sampling kSettings{.storm = 100, .calm = seconds(15)};
constexpr config::Settings::Sampling kOff{};
constexpr Clock::time_point kStart{seconds(1'000)};

TEST(RateControl, AllUsersAreCarriedBelowTheThreshold) {
  sampling::RateControl control;
  EXPECT_EQ(control.next(kSettings, 0, 100, kStart), 100);
  EXPECT_EQ(control.next(kSettings, 99.9, 100, kStart), 100);
  EXPECT_EQ(control.next(kOff, 1e6, 100, kStart), 100) << "0 turns sampling off";
  EXPECT_EQ(control.next(kOff, 1e6, 20, kStart), 100);
}

TEST(RateControl, TheRateFallsAsTheVelocityRises) {
  EXPECT_EQ(sampling::RateControl().next(kSettings, 100, 100, kStart), 20);
  EXPECT_EQ(sampling::RateControl().next(kSettings, 200, 100, kStart), 10);
  EXPECT_EQ(sampling::RateControl().next(kSettings, 400, 100, kStart), 5);
  EXPECT_EQ(sampling::RateControl().next(kSettings, 1e6, 100, kStart), 5) << "never below 5";
  EXPECT_EQ(sampling::RateControl().next(kSettings, 60, 20, kStart), 20) << "never above 20 while sampled";
}

TEST(RateControl, TheRateIsKeptUntilTheIdealRateDiffersByAFifth) {
  sampling::RateControl control;
  EXPECT_EQ(control.next(kSettings, 230, 10, kStart), 10);  // the ideal rate is 9: too near to change
  EXPECT_EQ(control.next(kSettings, 260, 10, kStart), 8);
  EXPECT_EQ(control.next(kSettings, 180, 10, kStart), 10);
  EXPECT_EQ(control.next(kSettings, 165, 10, kStart), 12);
}

TEST(RateControl, SamplingEndsAfterTheCalmTimeBelowHalfTheThreshold) {
  sampling::RateControl control;
  EXPECT_EQ(control.next(kSettings, 50, 20, kStart), 20) << "half the threshold is not below it";
  EXPECT_EQ(control.next(kSettings, 49, 20, kStart + seconds(1)), 20);
  EXPECT_EQ(control.next(kSettings, 0, 20, kStart + milliseconds(15'999)), 20);
  EXPECT_EQ(control.next(kSettings, 0, 20, kStart + seconds(16)), 100);
}

TEST(RateControl, AFastSecondRestartsTheCalmTime) {
  sampling::RateControl control;
  EXPECT_EQ(control.next(kSettings, 10, 20, kStart), 20);
  EXPECT_EQ(control.next(kSettings, 60, 20, kStart + seconds(14)), 20);
  EXPECT_EQ(control.next(kSettings, 10, 20, kStart + seconds(15)), 20);
  EXPECT_EQ(control.next(kSettings, 10, 20, kStart + seconds(29)), 20);
  EXPECT_EQ(control.next(kSettings, 10, 20, kStart + seconds(30)), 100);
}

std::vector<transport::FramePtr> frames(const std::string& stream, int count) {
  return std::vector<transport::FramePtr>(static_cast<std::size_t>(count),
                                          std::make_shared<transport::Frame>(transport::Frame{.stream_id = stream}));
}

TEST(Velocity, IsTheMeanOfTheLastWholeSeconds) {
  sampling::Velocity velocity;
  velocity.count(frames("a", 30), kStart);
  EXPECT_TRUE(velocity.measure(kStart + milliseconds(999)).empty()) << "the current second has not ended";
  velocity.count(frames("a", 60), kStart + seconds(1));
  velocity.count(frames("b", 3), kStart + milliseconds(1'500));
  const auto& measured = velocity.measure(kStart + seconds(2));
  EXPECT_DOUBLE_EQ(measured.at("a"), 30);
  EXPECT_DOUBLE_EQ(measured.at("b"), 1);
}

TEST(Velocity, ForgetsStreamsWithoutMessagesInTheWindow) {
  sampling::Velocity velocity;
  velocity.count(frames("a", 30), kStart);
  EXPECT_DOUBLE_EQ(velocity.measure(kStart + seconds(3)).at("a"), 10);
  EXPECT_TRUE(velocity.measure(kStart + seconds(4)).empty());
  EXPECT_TRUE(velocity.measure(kStart + seconds(100'000)).empty());
  velocity.count(frames("a", 9), kStart + seconds(200'000));
  EXPECT_DOUBLE_EQ(velocity.measure(kStart + seconds(200'001)).at("a"), 3);
}

}  // namespace
}  // namespace sealcast::leader
