// Tests the texts that show the progress of a command, on a terminal and in a file.
#include "base/progress.h"

#include <gtest/gtest.h>

namespace sealcast {
namespace {

using std::chrono::milliseconds;

const Progress::Clock::time_point kBegan{};

Progress::Work of(std::int64_t done, std::int64_t total = 1000) {
  return {done, total, done, std::to_string(done) + " of " + std::to_string(total) + " messages"};
}

TEST(ProgressLineTest, PrintsALineEveryFiveSeconds) {
  Progress progress(false, kBegan);
  EXPECT_EQ(progress.at(of(0), kBegan), "0 of 1000 messages, 0 per second\n");
  EXPECT_EQ(progress.at(of(100), kBegan + milliseconds(4900)), "");
  EXPECT_EQ(progress.at(of(500), kBegan + milliseconds(10'000)), "500 of 1000 messages, 50 per second, 10 s left\n");
  EXPECT_EQ(progress.end(of(1000), kBegan + milliseconds(20'000)), "1000 of 1000 messages, 50 per second\n");
}

TEST(ProgressLineTest, RewritesOneLineOfATerminal) {
  Progress progress(true, kBegan);
  progress.at(of(0), kBegan);
  EXPECT_EQ(progress.at(of(10), kBegan + milliseconds(100)), "");
  EXPECT_EQ(progress.at(of(100), kBegan + milliseconds(1000)),
            "\r\x1b[K100 of 1000 messages, 100 per second, 9 s left");
  EXPECT_EQ(progress.end(of(1000), kBegan + milliseconds(2000)), "\r\x1b[K1000 of 1000 messages, 500 per second\n");
}

TEST(ProgressLineTest, TheRateAndTheRemainingTimeMayHaveDifferentUnits) {
  const Progress progress(false, kBegan);
  EXPECT_EQ(progress.end({50, 200, 10, "10 messages"}, kBegan + milliseconds(10'000)),
            "10 messages, 1 per second, 30 s left\n");
}

TEST(ProgressLineTest, AnEmptyReplayEndsWithZeroOfZero) {
  const Progress progress(false, kBegan);
  EXPECT_EQ(progress.end(of(0, 0), kBegan), "0 of 0 messages, 0 per second\n");
}

}  // namespace
}  // namespace sealcast
