// What the broker's answers to the frames of one batch add up to.
#include "transport/mqtt/batch.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/asio.h"
#include "support/async.h"

namespace sealcast::transport::mqtt {
namespace {

using Kind = outside::Outcome::Kind;
constexpr int kSuccess = 0x00, kNoSubscribers = 0x10, kNotAuthorized = 0x87, kQuotaExceeded = 0x97;

class MqttBatchTest : public testing::Test {
 protected:
  // A batch of four frames, all of them sent.
  MqttBatchTest() : frames_(4, std::make_shared<const Frame>()) {
    batch_.emplace(io_.get_executor(), frames_, Clock::now() + test::kPatience);
    while (batch_->has_next()) batch_->take();
  }
  outside::Outcome outcome() { return batch_->outcome(); }

  asio::io_context io_;
  std::vector<FramePtr> frames_;
  std::optional<Batch> batch_;
};

TEST_F(MqttBatchTest, DoneWhenEveryFrameIsAcknowledged) {
  for (const std::size_t place : {1, 0, 3}) batch_->answer(place, kSuccess);
  EXPECT_FALSE(batch_->over());
  batch_->answer(2, kNoSubscribers);
  EXPECT_TRUE(batch_->over());
  test::await(io_, batch_->wait());
  EXPECT_EQ(outcome().kind, Kind::done);
  EXPECT_EQ(outcome().delivered, 4u);
}

TEST_F(MqttBatchTest, AnEmptyBatchIsDone) {
  Batch empty(io_.get_executor(), {}, Clock::time_point::max());
  test::await(io_, empty.wait());
  EXPECT_EQ(empty.outcome().kind, Kind::done);
}

TEST_F(MqttBatchTest, TheFirstFailureDecidesWhenAllAreAnswered) {
  batch_->answer(3, kQuotaExceeded);
  batch_->answer(0, kSuccess);
  batch_->answer(1, kNotAuthorized);
  EXPECT_FALSE(batch_->over());
  batch_->answer(2, kSuccess);
  EXPECT_TRUE(batch_->over());
  EXPECT_EQ(outcome().kind, Kind::dead);
  EXPECT_EQ(outcome().delivered, 1u);
  EXPECT_EQ(outcome().reason, "the broker refused it: Not authorized");
}

TEST_F(MqttBatchTest, ALostConnectionLeavesThePrefixThatIsCertain) {
  batch_->answer(0, kSuccess);
  batch_->answer(2, kSuccess);
  batch_->answer(3, kNotAuthorized);
  batch_->lose("gone");
  EXPECT_TRUE(batch_->over());
  EXPECT_EQ(outcome().kind, Kind::retry_transport) << "frame 1 may succeed, frame 3 is not known to be next";
  EXPECT_EQ(outcome().delivered, 1u);
  EXPECT_EQ(outcome().reason, "gone");
  batch_->answer(1, kSuccess);  // too late
  EXPECT_EQ(outcome().delivered, 1u);
}

TEST_F(MqttBatchTest, NothingIsSentAfterAFrameThatCannotBe) {
  Batch batch(io_.get_executor(), frames_, Clock::now() + test::kPatience);
  const std::size_t place = batch.take();
  batch.refuse_next("too large");
  EXPECT_FALSE(batch.has_next());
  EXPECT_FALSE(batch.over()) << "the first is not answered yet";
  batch.answer(place, kSuccess);
  EXPECT_TRUE(batch.over());
  EXPECT_EQ(batch.outcome().kind, Kind::dead);
  EXPECT_EQ(batch.outcome().delivered, 1u);
  EXPECT_EQ(batch.outcome().reason, "too large");
}

TEST_F(MqttBatchTest, WaitsNoLongerThanItsDeadline) {
  Batch batch(io_.get_executor(), frames_, Clock::now());
  test::await(io_, batch.wait());
  EXPECT_FALSE(batch.over());
}

TEST(MqttReasonTest, CodesOfThePubackTable) {
  for (const int code : {kSuccess, kNoSubscribers}) EXPECT_EQ(meaning_of(code), Kind::done) << code;
  for (const int code : {0x87, 0x90, 0x95, 0x99}) EXPECT_EQ(meaning_of(code), Kind::dead) << code;
  for (const int code : {0x80, 0x83, 0x91, 0x97}) EXPECT_EQ(meaning_of(code), Kind::retry_stream) << code;
}

}  // namespace
}  // namespace sealcast::transport::mqtt
