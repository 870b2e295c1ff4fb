// Tests the states of streams in memory: when a joiner reads Postgres, and up to which offset its answer is current.
#include "message/stream_states.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <stdexcept>

#include "base/metrics.h"
#include "support/async.h"

namespace sealcast::message {
namespace {

constexpr char kStream[] = "0190d000-0000-7000-8000-000000000001";

class StreamStatesTest : public testing::Test {
 protected:
  // Answers a load with `stored_`, as it is when the load ends. While `held_`, loads do not end.
  asio::awaitable<StreamState> load() {
    ++loads_;
    StreamState at_start = stored_;
    co_await gate_.wait_until();
    if (fails_) throw std::runtime_error("no database");
    co_return at_start;
  }

  void publish(std::int64_t offset, bool retained = false, bool redacts = false) {
    transport::Frame frame{.stream_id = kStream, .offset = offset};
    if (redacts) frame.redaction = std::make_shared<const transport::Redaction>();
    if (retained) states_.note_retained(frame);
    const transport::FramePtr frames[] = {std::make_shared<const transport::Frame>(std::move(frame))};
    states_.observe(frames);
  }

  StreamStates::Current read(std::int64_t newest_redaction = 0) {
    return test::await(io_, states_.read(kStream, newest_redaction));
  }

  // Begins to read. The answer is in answers_ later.
  void begin_reading() {
    asio::co_spawn(io_, states_.read(kStream, 0), [this](std::exception_ptr error, StreamStates::Current current) {
      if (error) {
        ++errors_;
      } else {
        answers_.push_back(current);
      }
    });
    io_.restart();
    io_.poll();
  }

  asio::io_context io_;
  Metrics metrics_;
  MemoryBudget memory_{io_.get_executor(), metrics_, 1 << 20};
  Event gate_{io_.get_executor()};
  StreamState stored_{{{5, 4, "{}"}}, 9, 0, "epoch"};
  int loads_ = 0, errors_ = 0;
  bool fails_ = false;
  std::vector<StreamStates::Current> answers_;
  StreamStates states_{io_.get_executor(), memory_, [this](std::string_view) { return load(); }};

  void SetUp() override { gate_.set(); }
};

TEST_F(StreamStatesTest, OnlyTheFirstJoinerReadsPostgres) {
  EXPECT_EQ(read().as_of, 9);
  EXPECT_EQ(read().state->messages.size(), 1u);
  EXPECT_EQ(loads_, 1);
  EXPECT_GT(memory_.held(), 0u);
}

TEST_F(StreamStatesTest, AMessageThatIsNotRetainedMovesTheAnswerOn) {
  read();
  publish(10);
  publish(11);
  EXPECT_EQ(read().as_of, 11);
  EXPECT_EQ(loads_, 1);
}

TEST_F(StreamStatesTest, ARetainedMessageMakesTheNextJoinerReadAgain) {
  read();
  publish(10, true);
  stored_ = {{{5, 4, "{}"}, {10, 9, "{}"}}, 12, 0, "epoch"};
  const StreamStates::Current current = read();
  EXPECT_EQ(current.as_of, 12);
  EXPECT_EQ(current.state->messages.size(), 2u);
  read();
  EXPECT_EQ(loads_, 2);
}

TEST_F(StreamStatesTest, ARedactionIsReadBeforeItsAnnouncementIsRelayed) {
  read(0);
  stored_ = {{}, 9, 77, "epoch"};
  EXPECT_TRUE(read(77).state->messages.empty());
  read(77);
  EXPECT_EQ(loads_, 2);
}

TEST_F(StreamStatesTest, AnAnnouncementOfARedactionMakesTheNextJoinerReadAgain) {
  read(0);
  publish(10, false, true);
  stored_ = {{}, 10, 0, "epoch"};
  EXPECT_TRUE(read(0).state->messages.empty());
  EXPECT_EQ(loads_, 2);
}

TEST_F(StreamStatesTest, SimultaneousJoinersShareALoad) {
  gate_.clear();
  for (int i = 0; i < 3; ++i) begin_reading();
  gate_.set();
  ASSERT_TRUE(test::run_until(io_, [this] { return answers_.size() == 3; }));
  EXPECT_EQ(loads_, 1);
}

// The load of the first joiner has an older snapshot than the message.
TEST_F(StreamStatesTest, AMessageDuringALoadIsInTheAnswerOfLaterJoiners) {
  gate_.clear();
  begin_reading();
  publish(10, true);
  stored_ = {{{10, 9, "{}"}}, 10, 0, "epoch"};
  begin_reading();
  gate_.set();
  ASSERT_TRUE(test::run_until(io_, [this] { return answers_.size() == 2; }));
  // The first joiner goes on after its snapshot, so the stream brings the message.
  EXPECT_EQ(answers_[0].as_of, 9);
  EXPECT_EQ(answers_[1].as_of, 10);
  EXPECT_EQ(answers_[1].state->messages[0].offset, 10);
}

TEST_F(StreamStatesTest, AFailedLoadFailsItsJoinersAndNoLaterOne) {
  fails_ = true;
  gate_.clear();
  for (int i = 0; i < 3; ++i) begin_reading();
  gate_.set();
  ASSERT_TRUE(test::run_until(io_, [this] { return errors_ == 3; }));
  EXPECT_LE(loads_, 2);
  fails_ = false;
  EXPECT_EQ(read().as_of, 9);
}

TEST_F(StreamStatesTest, AnotherLogMakesAllJoinersReadAgain) {
  read();
  publish(50);
  states_.begin_log();
  stored_ = {{}, 3, 0, "another"};
  EXPECT_EQ(read().as_of, 3);
  EXPECT_EQ(read().state->log_epoch, "another");
  EXPECT_EQ(loads_, 2);
}

TEST_F(StreamStatesTest, TheMemoryBudgetMayTakeTheStates) {
  stored_.messages[0].envelope = std::string(2 << 20, 'x');
  read();
  ASSERT_TRUE(test::run_until(io_, [this] { return memory_.held() == 0; }));
  read();
  EXPECT_EQ(loads_, 2);
}

TEST(RetainedFrame, HasTheOffsetBeforeItOnItsChannel) {
  const RetainedMessage message{7, 3, R"({"v":1})"};
  std::string text;
  append_retained_frame(message, transport::Channel::everyone, text);
  EXPECT_EQ(text, R"({"offset":7,"prev":3,"envelope":{"v":1},"retained":true})");
  text.clear();
  append_retained_frame(message, transport::Channel::all_messages, text);
  EXPECT_EQ(text, R"({"offset":7,"prev":6,"envelope":{"v":1},"retained":true})");
}

}  // namespace
}  // namespace sealcast::message
