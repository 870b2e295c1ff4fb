// Which batches are delivered whole: whatever order their frames are settled in, and whoever leads the shard by then.
#include "transport/outside/progress.h"

#include <gtest/gtest.h>

namespace sealcast::transport::outside {
namespace {

Frame frame(std::int32_t shard, std::int64_t batch) { return {"room", 1, 0, shard, batch, R"({"ts":17})"}; }

class ProgressTest : public testing::Test {
 protected:
  ProgressTest() { lead({{0, 7, 10}, {1, 7, 10}}); }

  std::vector<std::int32_t> lead(std::vector<Lead> leads) {
    auto gone = progress_.lead(leads);
    for (Progress::Shard& shard : progress_.shards()) {
      if (shard.begun) continue;
      shard.begun = true;
      shard.taken = 10;
    }
    return gone;
  }
  void take(std::int32_t shard, std::int64_t batch, int frames) {
    for (int i = 0; i < frames; ++i) progress_.count(frame(shard, batch), 7);
    progress_.find(shard)->taken = batch;
  }
  void settle(std::int32_t shard, std::int64_t batch) { progress_.settle(frame(shard, batch), 7); }
  std::int64_t settled(std::int32_t shard) { return progress_.find(shard)->settled(); }

  Progress progress_;
};

TEST_F(ProgressTest, SettlesABatchWithItsLastFrame) {
  take(0, 11, 2);
  EXPECT_EQ(settled(0), 10);
  settle(0, 11);
  EXPECT_EQ(settled(0), 10);
  settle(0, 11);
  EXPECT_EQ(settled(0), 11);
}

TEST_F(ProgressTest, PassesNoBatchThatIsOpen) {
  take(0, 11, 1);
  take(0, 12, 1);
  take(0, 13, 0);
  settle(0, 12);
  EXPECT_EQ(settled(0), 10) << "an earlier one is open";
  settle(0, 11);
  EXPECT_EQ(settled(0), 13) << "with the one that held nothing";
}

TEST_F(ProgressTest, KeepsShardsApart) {
  take(0, 11, 1);
  take(1, 11, 1);
  settle(1, 11);
  EXPECT_EQ(settled(0), 10);
  EXPECT_EQ(settled(1), 11);
}

TEST_F(ProgressTest, IsCurrentWhenItHasTakenWhatTheRelayPublished) {
  EXPECT_TRUE(progress_.find(0)->current());
  lead({{0, 7, 12}, {1, 7, 10}});
  EXPECT_FALSE(progress_.find(0)->current());
  EXPECT_TRUE(progress_.find(1)->current());
}

TEST_F(ProgressTest, ForgetsWhatAnotherEpochHadOpen) {
  take(0, 11, 1);
  EXPECT_EQ(lead({{0, 9, 10}, {1, 7, 10}}), std::vector<std::int32_t>{0});
  progress_.count(frame(0, 11), 9);
  settle(0, 11);
  EXPECT_EQ(settled(0), 10) << "settled under the epoch that is over";
  progress_.settle(frame(0, 11), 9);
  EXPECT_EQ(settled(0), 10) << "of what was taken";
  EXPECT_EQ(lead({{1, 7, 10}}), std::vector<std::int32_t>{0}) << "led no longer";
  EXPECT_EQ(progress_.find(0), nullptr);
}

TEST_F(ProgressTest, CountsNoFrameThatHoldsUpNoBatch) {
  progress_.count(frame(0, 0), 7);
  progress_.settle(frame(0, 0), 7);
  EXPECT_EQ(settled(0), 10);
}

}  // namespace
}  // namespace sealcast::transport::outside
