// Tests the texts that show the progress of a replay, on a terminal and in a file.
#include "events/replay_progress.h"

#include <gtest/gtest.h>

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;

const ReplayProgress::Clock::time_point kBegan{};

TEST(ReplayProgressTest, PrintsALineEveryFiveSeconds) {
  ReplayProgress progress(1000, false, kBegan);
  EXPECT_EQ(progress.at(0, kBegan), "0 of 1000 messages, 0 per second\n");
  EXPECT_EQ(progress.at(100, kBegan + milliseconds(4900)), "");
  EXPECT_EQ(progress.at(500, kBegan + milliseconds(10'000)), "500 of 1000 messages, 50 per second, 10 s left\n");
  EXPECT_EQ(progress.end(1000, kBegan + milliseconds(20'000)), "1000 of 1000 messages, 50 per second\n");
}

TEST(ReplayProgressTest, RewritesOneLineOfATerminal) {
  ReplayProgress progress(1000, true, kBegan);
  progress.at(0, kBegan);
  EXPECT_EQ(progress.at(10, kBegan + milliseconds(100)), "");
  EXPECT_EQ(progress.at(100, kBegan + milliseconds(1000)), "\r\x1b[K100 of 1000 messages, 100 per second, 9 s left");
  EXPECT_EQ(progress.end(1000, kBegan + milliseconds(2000)), "\r\x1b[K1000 of 1000 messages, 500 per second\n");
}

TEST(ReplayProgressTest, AnEmptyReplayEndsWithZeroOfZero) {
  const ReplayProgress progress(0, false, kBegan);
  EXPECT_EQ(progress.end(0, kBegan), "0 of 0 messages, 0 per second\n");
}

}  // namespace
}  // namespace sealcast::events
