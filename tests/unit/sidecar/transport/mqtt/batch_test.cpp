// Tests how the answers to the frames of a batch combine into one outcome.
#include "transport/mqtt/batch.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

#include "base/asio.h"
#include "support/async.h"

namespace sealcast::transport::mqtt {
namespace {

using Kind = outside::Outcome::Kind;
constexpr int kSuccess = 0x00, kNoSubscribers = 0x10, kTopicNameInvalid = 0x90, kQuotaExceeded = 0x97;

class MqttBatchTest : public testing::Test {
 protected:
  // Makes a batch of four frames. All four frames count as sent.
  MqttBatchTest() : frames_(4, std::make_shared<const Frame>()) {
    batch_.emplace(io_.get_executor(), frames_, Clock::now() + test::kPatience);
    while (batch_->has_next()) batch_->mark_sent();
  }
  outside::Outcome outcome() { return batch_->outcome(); }

  asio::io_context io_;
  std::vector<FramePtr> frames_;
  std::optional<Batch> batch_;
};

TEST_F(MqttBatchTest, IsDoneWhenEveryFrameIsAcknowledged) {
  for (const std::size_t index : {1, 0, 3}) batch_->handle_answer(index, kSuccess);
  EXPECT_FALSE(batch_->ended());
  batch_->handle_answer(2, kNoSubscribers);
  EXPECT_TRUE(batch_->ended());
  test::await(io_, batch_->wait());
  EXPECT_EQ(outcome().kind, Kind::done);
  EXPECT_EQ(outcome().delivered, 4u);
}

TEST_F(MqttBatchTest, IsDoneWithoutFrames) {
  Batch empty(io_.get_executor(), {}, Clock::time_point::max());
  test::await(io_, empty.wait());
  EXPECT_EQ(empty.outcome().kind, Kind::done);
}

TEST_F(MqttBatchTest, TheFailureOfTheFirstFrameDecidesWhenAllAreAnswered) {
  batch_->handle_answer(3, kQuotaExceeded);
  batch_->handle_answer(0, kSuccess);
  batch_->handle_answer(1, kTopicNameInvalid);
  EXPECT_FALSE(batch_->ended());
  batch_->handle_answer(2, kSuccess);
  EXPECT_TRUE(batch_->ended());
  EXPECT_EQ(outcome().kind, Kind::dead);
  EXPECT_EQ(outcome().delivered, 1u);
  EXPECT_EQ(outcome().reason, "the broker refused the frame: Topic name invalid");
}

TEST_F(MqttBatchTest, ALostConnectionDeliversTheFramesUpToTheFirstUnanswered) {
  batch_->handle_answer(0, kSuccess);
  batch_->handle_answer(2, kSuccess);
  batch_->handle_answer(3, kTopicNameInvalid);
  batch_->fail("gone");
  EXPECT_TRUE(batch_->ended());
  EXPECT_EQ(outcome().kind, Kind::retry_transport) << "frame 1 may succeed, so the failure of frame 3 does not count";
  EXPECT_EQ(outcome().delivered, 1u);
  EXPECT_EQ(outcome().reason, "gone");
  batch_->handle_answer(1, kSuccess);  // the batch has ended, so this answer is ignored
  EXPECT_EQ(outcome().delivered, 1u);
}

TEST_F(MqttBatchTest, NoFrameIsSentAfterARejectedOne) {
  Batch batch(io_.get_executor(), frames_, Clock::now() + test::kPatience);
  const std::size_t index = batch.mark_sent();
  batch.reject_next("too large");
  EXPECT_FALSE(batch.has_next());
  EXPECT_FALSE(batch.ended()) << "the first frame is not answered yet";
  batch.handle_answer(index, kSuccess);
  EXPECT_TRUE(batch.ended());
  EXPECT_EQ(batch.outcome().kind, Kind::dead);
  EXPECT_EQ(batch.outcome().delivered, 1u);
  EXPECT_EQ(batch.outcome().reason, "too large");
}

TEST_F(MqttBatchTest, WaitsUntilItsDeadlineAtMost) {
  Batch batch(io_.get_executor(), frames_, Clock::now());
  test::await(io_, batch.wait());
  EXPECT_FALSE(batch.ended());
}

// Only a code that is about the frame itself makes a dead letter: its topic, its size, or its payload. All other
// failures are retried, also those that no table gives to PUBACK.
TEST(MqttReasonTest, EveryReasonCodeHasAnOutcome) {
  const std::set<int> dead = {0x90, 0x95, 0x99};
  for (int code = 0; code <= 0xFF; ++code) {
    const Kind expected = code < 0x80 ? Kind::done : dead.contains(code) ? Kind::dead : Kind::retry_stream;
    EXPECT_EQ(outcome_kind(code), expected) << code;
  }
}

}  // namespace
}  // namespace sealcast::transport::mqtt
