// Tests the invariants of RelayShards: which shards the relay tails, drains and settles.
#include "message/relay_shards.h"

#include <gtest/gtest.h>

namespace sealcast::message {
namespace {

using Ids = std::vector<std::int32_t>;
using Rules = std::vector<std::int64_t>;

class RelayShardsTest : public testing::Test {
 protected:
  Rules led_published() const {
    std::vector<transport::Lead> leads;
    shards_.write_leads(leads);
    Rules published;
    for (const transport::Lead& lead : leads) published.push_back(lead.batch);
    return published;
  }

  bool renew(std::int32_t id, std::int64_t epoch, bool led, std::int64_t newest) {
    return shards_.renew(id, epoch, led, {newest, 100 * newest});
  }

  RelayShards shards_;
};

TEST_F(RelayShardsTest, ANewShardBeginsAtItsNewestBatch) {
  EXPECT_TRUE(renew(2, 5, true, 40));
  EXPECT_FALSE(renew(2, 5, true, 40));
  EXPECT_EQ(shards_.led_count(), 1);
  EXPECT_EQ(shards_.to_drain().ids, Ids{2});
  EXPECT_EQ(shards_.to_drain().epochs, Rules{5});
  EXPECT_TRUE(shards_.to_tail().ids.empty());
  EXPECT_EQ(led_published(), Rules{40});
}

TEST_F(RelayShardsTest, AShardThatAnotherSidecarLeadsIsTailedFromThePublishedBatch) {
  EXPECT_FALSE(renew(1, 4, false, 10));
  EXPECT_EQ(shards_.to_tail().ids, Ids{1});
  EXPECT_EQ(shards_.to_tail().published, Rules{10});
  EXPECT_TRUE(shards_.to_drain().ids.empty());
  EXPECT_TRUE(led_published().empty());
  EXPECT_TRUE(shards_.advance(1, 12));
  shards_.catch_up();
  EXPECT_EQ(shards_.to_tail().published, Rules{12});
  EXPECT_TRUE(shards_.to_drain().ids.empty());
}

TEST_F(RelayShardsTest, AnAcquiredShardIsTailedToItsNewestBatchBeforeItIsDrained) {
  renew(1, 4, false, 10);
  EXPECT_TRUE(renew(1, 5, true, 13));
  EXPECT_TRUE(shards_.to_drain().ids.empty());
  shards_.advance(1, 12);
  shards_.catch_up();
  EXPECT_TRUE(shards_.to_drain().ids.empty());
  shards_.advance(1, 13);
  shards_.catch_up();
  EXPECT_EQ(shards_.to_drain().ids, Ids{1});
  EXPECT_TRUE(shards_.to_tail().ids.empty());
}

TEST_F(RelayShardsTest, ANewEpochOfTheSameHolderIsCaughtUpFirst) {
  renew(1, 4, true, 10);
  EXPECT_FALSE(renew(1, 6, true, 15));  // the sidecar lost the lease and acquired it again between two renewals
  EXPECT_TRUE(shards_.to_drain().ids.empty());
  EXPECT_EQ(shards_.to_tail().published, Rules{10});
}

TEST_F(RelayShardsTest, ALostLeaseStopsDrains) {
  renew(1, 4, true, 10);
  EXPECT_TRUE(renew(1, 5, false, 10));
  EXPECT_EQ(shards_.led_count(), 0);
  EXPECT_TRUE(shards_.to_drain().ids.empty());
  EXPECT_EQ(shards_.to_tail().ids, Ids{1});
}

TEST_F(RelayShardsTest, AfterALostConnectionTheNewestBatchIsReadAgain) {
  renew(1, 4, true, 10);
  shards_.lose_connection();
  EXPECT_TRUE(shards_.to_drain().ids.empty());
  EXPECT_EQ(shards_.to_tail().published, Rules{10});
  renew(1, 4, true, 11);  // the drain whose result was lost has made batch 11
  EXPECT_TRUE(shards_.to_drain().ids.empty());
  shards_.advance(1, 11);
  shards_.catch_up();
  EXPECT_EQ(shards_.to_drain().ids, Ids{1});
}

TEST_F(RelayShardsTest, ThePublishedBatchOnlyGrows) {
  renew(1, 4, true, 10);
  shards_.advance(1, 12);
  shards_.advance(1, 11);
  renew(1, 4, true, 9);
  EXPECT_EQ(led_published(), Rules{12});
  EXPECT_FALSE(shards_.advance(3, 1)) << "an unknown shard";
}

TEST_F(RelayShardsTest, OnlyNewBatchesAreSettled) {
  renew(0, 1, true, 10);
  renew(1, 1, true, 20);
  EXPECT_TRUE(shards_.to_settle().ids.empty());
  shards_.advance(1, 21);
  const ShardArrays unsettled = shards_.to_settle();
  EXPECT_EQ(unsettled.ids, Ids{1});
  EXPECT_EQ(unsettled.epochs, Rules{1});
  EXPECT_EQ(unsettled.published, Rules{21});
  shards_.advance(1, 22);  // a batch is published while Postgres records the settled one
  shards_.settle(unsettled);
  EXPECT_EQ(shards_.to_settle().published, Rules{22});
}

TEST_F(RelayShardsTest, TheDatabaseMustHaveTheKnownBatches) {
  renew(0, 1, true, 10);
  renew(1, 1, false, 20);
  shards_.advance(0, 12);
  renew(1, 1, false, 25);
  const KnownBatches known = shards_.known();
  EXPECT_EQ(known.ids, (Ids{0, 1}));
  EXPECT_EQ(known.published, (Rules{12, 20}));
  EXPECT_EQ(known.newest, (Rules{10, 25}));
  EXPECT_EQ(known.logged_at, (Rules{1000, 2500}));
  shards_.forget();
  EXPECT_TRUE(shards_.known().ids.empty());
}

}  // namespace
}  // namespace sealcast::message
