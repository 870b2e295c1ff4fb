// Tests which relay batches count as delivered, for any order of their frames and after a change of the leader.
#include "transport/outside/progress.h"

#include <gtest/gtest.h>

namespace sealcast::transport::outside {
namespace {

Frame frame(std::int32_t shard, std::int64_t batch) { return {"room", 1, 0, shard, batch, R"({"ts":17})"}; }

class ProgressTest : public testing::Test {
 protected:
  ProgressTest() { lead({{0, 7, 10}, {1, 7, 10}}); }

  Progress::Changes lead(std::vector<Lead> leads) {
    auto changes = progress_.set_leads(leads);
    for (Progress::Shard& shard : progress_.shards()) {
      if (shard.started) continue;
      shard.started = true;
      shard.queued = 10;
    }
    return changes;
  }
  void queue(std::int32_t shard, std::int64_t batch, int frames) {
    for (int i = 0; i < frames; ++i) progress_.add(frame(shard, batch), 7);
    progress_.find(shard)->queued = batch;
  }
  void settle(std::int32_t shard, std::int64_t batch) { progress_.settle(frame(shard, batch), 7); }
  std::int64_t settled(std::int32_t shard) { return progress_.find(shard)->settled(); }

  Progress progress_;
};

TEST_F(ProgressTest, SettlesABatchWithItsLastFrame) {
  queue(0, 11, 2);
  EXPECT_EQ(settled(0), 10);
  settle(0, 11);
  EXPECT_EQ(settled(0), 10);
  settle(0, 11);
  EXPECT_EQ(settled(0), 11);
}

TEST_F(ProgressTest, DoesNotPassAnOpenBatch) {
  queue(0, 11, 1);
  queue(0, 12, 1);
  queue(0, 13, 0);
  settle(0, 12);
  EXPECT_EQ(settled(0), 10) << "batch 11 is open";
  settle(0, 11);
  EXPECT_EQ(settled(0), 13) << "batch 13 has no frames";
}

TEST_F(ProgressTest, KeepsShardsApart) {
  queue(0, 11, 1);
  queue(1, 11, 1);
  settle(1, 11);
  EXPECT_EQ(settled(0), 10);
  EXPECT_EQ(settled(1), 11);
}

TEST_F(ProgressTest, IsCurrentWhenAllPublishedBatchesAreQueued) {
  EXPECT_TRUE(progress_.find(0)->current());
  lead({{0, 7, 12}, {1, 7, 10}});
  EXPECT_FALSE(progress_.find(0)->current());
  EXPECT_TRUE(progress_.find(1)->current());
  EXPECT_EQ(progress_.find(0)->acquired, 10) << "a new transport delivers the later batches";
}

TEST_F(ProgressTest, IgnoresFramesOfAnEarlierEpoch) {
  queue(0, 11, 1);
  const Progress::Changes changes = lead({{0, 9, 10}, {1, 7, 10}});
  EXPECT_EQ(changes.lost, std::vector<std::int32_t>{0});
  EXPECT_TRUE(changes.acquired) << "another epoch may follow on another sidecar";
  progress_.add(frame(0, 11), 9);
  settle(0, 11);
  EXPECT_EQ(settled(0), 10) << "the frame was settled under epoch 7, which has ended";
  progress_.settle(frame(0, 11), 9);
  EXPECT_EQ(settled(0), 10) << "batch 11 was never queued under epoch 9";
  const Progress::Changes later = lead({{1, 7, 10}});
  EXPECT_FALSE(later.acquired);
  EXPECT_EQ(later.lost, std::vector<std::int32_t>{0}) << "this sidecar no longer leads shard 0";
  EXPECT_EQ(progress_.find(0), nullptr);
}

TEST_F(ProgressTest, IgnoresFramesWithoutABatch) {
  progress_.add(frame(0, 0), 7);
  progress_.settle(frame(0, 0), 7);
  EXPECT_EQ(settled(0), 10);
}

}  // namespace
}  // namespace sealcast::transport::outside
