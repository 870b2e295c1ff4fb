// Tests the queues of one transport: their order, their bounds, and which frames are not queued.
#include "transport/outside/stream_queues.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>

namespace sealcast::transport::outside {
namespace {

using Lag = StreamQueue::Lag;
using State = StreamQueue::State;

constexpr char kStream[] = "0190d000-0000-7000-8000-000000000001";
constexpr std::int64_t kEpoch = 7;

class StreamQueuesTest : public testing::Test {
 protected:
  StreamQueuesTest() {
    settings_.max_frames = 4096;
    settings_.max_bytes = 1'000'000;
    const Lead leads[] = {{.shard = 0, .epoch = kEpoch, .batch = 0}};
    queues_.progress.set_leads(leads);
  }

  static FramePtr frame(std::int64_t offset, const char* stream_id = kStream) {
    return std::make_shared<Frame>(Frame{stream_id, offset, offset - 1, 0, offset, "{}"});
  }
  StreamQueue& queue() { return *queues_.find(kStream); }

  static FramePtr message(std::int64_t offset) {
    constexpr char kEnvelope[] =
        R"({"v":1,"kid":"k1","t":"chat","stream_id":"x","s":"ann","ts":5,"txn_id":"t1","d":{},"sig":"aa"})";
    return make_frame({.stream_id = kStream, .offset = offset, .shard = 0, .batch = offset}, kEnvelope, {});
  }
  static RedactionPtr redaction(std::string txn_id, const char* stream_id = kStream) {
    return std::make_shared<Redaction>(Redaction{.stream_id = stream_id,
                                                 .sender_id = "ann",
                                                 .txn_id = std::move(txn_id),
                                                 .since = 5,
                                                 .through = 5,
                                                 .offset = 9,
                                                 .member = "{}"});
  }
  bool has_content() { return queue().entries.back().frame->text.find("\"d\":{}") != std::string::npos; }

  asio::io_context io_;
  postgres::Pool pool_{io_.get_executor(), {{}, "none", std::chrono::milliseconds(100)}, 1};
  config::Settings::Delivery settings_{};
  Routing routing_{io_.get_executor(), pool_, settings_};
  PersistenceWork work_{io_.get_executor()};
  StreamQueues queues_{"test", routing_, settings_, work_};
};

TEST_F(StreamQueuesTest, MakesAStreamReadyOnce) {
  queues_.add(frame(1), kEpoch, true);
  queues_.add(frame(2), kEpoch, true);
  EXPECT_EQ(&queues_.pop_ready(), &queue());
  EXPECT_FALSE(queues_.has_ready());
  EXPECT_EQ(queues_.frames(), 2u);
}

TEST_F(StreamQueuesTest, RemovesAStreamWithoutFrames) {
  queues_.add(frame(1), kEpoch, true);
  StreamQueue& ready = queues_.pop_ready();
  queues_.pop(ready);
  queues_.requeue_or_remove(ready);
  EXPECT_EQ(queues_.find(kStream), nullptr);
  EXPECT_EQ(queues_.frames(), 0u);
}

TEST_F(StreamQueuesTest, SkipsDeliveredFrames) {
  queues_.find_or_create(kStream, 0).next_offset = 3;
  queues_.add(frame(2), kEpoch, true);
  EXPECT_TRUE(queue().entries.empty());
  queues_.add(frame(3), kEpoch, true);
  EXPECT_EQ(queue().entries.size(), 1u);
}

TEST_F(StreamQueuesTest, StartsALagAtTooManyFramesOfOneStream) {
  for (std::int64_t offset = 1; offset <= 1024; ++offset) queues_.add(frame(offset), kEpoch, true);
  queues_.add(frame(1025), kEpoch, false);
  EXPECT_EQ(queue().lag, Lag::none) << "during a pause of the transport";
  queues_.add(frame(1026), kEpoch, true);
  EXPECT_EQ(queue().lag, Lag::unsaved);
  EXPECT_TRUE(work_.unsaved_lags.contains(kStream));
  EXPECT_TRUE(work_.changed.is_set());
}

TEST_F(StreamQueuesTest, DoesNotQueueFramesOfALaggingStream) {
  queues_.find_or_create(kStream, 0).lag = Lag::saved;
  queues_.add(frame(1), kEpoch, true);
  EXPECT_TRUE(queue().entries.empty());
  EXPECT_TRUE(queue().skipped_frames);
}

TEST_F(StreamQueuesTest, QueuesADeadLetterOnce) {
  queues_.add_replay(frame(1), kEpoch);
  queues_.add_replay(frame(1), kEpoch);
  EXPECT_EQ(queue().entries.size(), 1u);
  queues_.pop(queue());
  queues_.add_replay(frame(1), kEpoch);
  EXPECT_EQ(queue().entries.size(), 1u);
}

TEST_F(StreamQueuesTest, StartsAgainAtTheFirstFrameThatIsNotAReplay) {
  queues_.find_or_create(kStream, 0).next_offset = 5;
  queues_.add_replay(frame(2), kEpoch);
  EXPECT_EQ(queue().first_undelivered(), 5);
  queues_.add(frame(6), kEpoch, true);
  EXPECT_EQ(queue().first_undelivered(), 6);
}

TEST_F(StreamQueuesTest, RemovesTheFramesOfALostShard) {
  queues_.add(frame(1), kEpoch, true);
  StreamQueue& publishing = queues_.pop_ready();
  publishing.state = State::publishing;
  queues_.remove_shard(0);
  EXPECT_EQ(queues_.frames(), 0u);
  EXPECT_EQ(queues_.find(kStream), &publishing) << "a publish in progress still uses the queue";
  EXPECT_EQ(publishing.generation, 1u);
}

TEST_F(StreamQueuesTest, ForgetsRedactionsWithoutFrames) {
  const auto start = StreamQueue::Clock::now();
  for (int n = 0; n < 100; ++n) queues_.redact(redaction("t1"), start + n * std::chrono::minutes(2));
  EXPECT_EQ(queues_.recent_redactions(), 1u);
}

TEST_F(StreamQueuesTest, RedactsFramesThatWereReadBeforeTheRedaction) {
  queues_.redact(redaction("t2"));
  queues_.redact(redaction("t1", "another stream"));
  queues_.add(message(1), kEpoch, true);
  EXPECT_TRUE(has_content()) << "no redaction concerns it";
  queues_.redact(redaction("t1"));
  EXPECT_FALSE(has_content()) << "it is queued";
  queues_.add(message(2), kEpoch, true);
  EXPECT_FALSE(has_content()) << "a redaction of one message";
  queues_.redact(redaction("t1"), StreamQueue::Clock::now() + std::chrono::hours(1));
  queues_.redact(redaction(""), StreamQueue::Clock::now() + std::chrono::hours(3));
  queues_.add(message(3), kEpoch, true);
  EXPECT_FALSE(has_content()) << "a purge";
  queues_.add(message(10), kEpoch, true);
  EXPECT_TRUE(has_content()) << "after the purge";
}

TEST_F(StreamQueuesTest, RedisStreamsGetsTheAnnouncementsOfStreamsThatItDoesNotCarry) {
  config::Settings::Delivery settings = settings_;
  settings.standard = {"another"};
  const Routing routing{io_.get_executor(), pool_, settings};
  auto announcement = std::make_shared<Frame>(*frame(5));
  announcement->redaction = redaction("t1");
  for (const char* transport : {"redis_streams", "ably"}) {
    StreamQueues queues{transport, routing, settings, work_};
    queues.add(frame(4), kEpoch, true);
    EXPECT_EQ(queues.frames(), 0u);
    queues.find_or_create(kStream, 0).lag = Lag::saved;
    queues.add(announcement, kEpoch, true);
    EXPECT_EQ(queues.frames(), transport == std::string_view("redis_streams") ? 1u : 0u);
  }
}

TEST_F(StreamQueuesTest, HasRoomForFramesAndBytes) {
  EXPECT_TRUE(queues_.has_room(4096, 1'000'000));
  EXPECT_FALSE(queues_.has_room(4097, 0));
  EXPECT_FALSE(queues_.has_room(0, 1'000'001));
}

}  // namespace
}  // namespace sealcast::transport::outside
