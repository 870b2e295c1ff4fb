// Tests the ring, and the hub with real sockets: frames arrive in order and once, and slow readers are dropped.
#include <numeric>

#include "transport/sse/hub_fixture.h"

namespace sealcast::transport::sse {
namespace {

TEST(SseRing, RendersAnEventAsOneChunk) {
  auto chunk = render_frame("e1", 17, 16, R"({"offset":17})");
  EXPECT_EQ(chunk->bytes, "1f\r\nid: e1:17\ndata: {\"offset\":17}\n\n\r\n");
  EXPECT_EQ(chunk->bytes.substr(chunk->head, 9), "id: e1:17");
}

TEST(SseRing, KeepsTheNewestFrames) {
  Ring ring(4);
  EXPECT_TRUE(ring.continues(99)) << "an empty ring lacks no frame";
  for (int offset = 1; offset <= 10; ++offset) ring.push(render_frame("", offset, offset - 1, "x"));
  EXPECT_EQ(ring.end() - ring.begin(), 4u);
  EXPECT_EQ(ring[ring.begin()]->offset, 7);
  EXPECT_EQ(ring[ring.end() - 1]->offset, 10);
  EXPECT_TRUE(ring.continues(6));
  EXPECT_TRUE(ring.continues(8));
  EXPECT_FALSE(ring.continues(5));
}

TEST(SseRing, FindsTheFrameAfterAnOffset) {
  Ring ring(8);
  for (int offset : {3, 5, 6, 9}) ring.push(render_frame("", offset, offset - 1, "x"));
  EXPECT_EQ(ring[ring.after(0)]->offset, 3);
  EXPECT_EQ(ring[ring.after(3)]->offset, 5);
  EXPECT_EQ(ring[ring.after(7)]->offset, 9);
  EXPECT_EQ(ring.after(9), ring.end());
}

TEST(SseRing, CountsAndTrimsItsBytes) {
  Ring ring(8);
  for (int offset = 1; offset <= 12; ++offset) ring.push(render_frame("", offset, offset - 1, std::string(1000, 'x')));
  const std::size_t full = ring.bytes();
  EXPECT_GT(full, 8000u);
  EXPECT_LT(full, 10'000u);
  ring.trim(full / 2, ring.end());
  EXPECT_LE(ring.bytes(), full / 2 + 8 * sizeof(ChunkPtr));
  EXPECT_GE(ring.end() - ring.begin(), 3u);
  EXPECT_FALSE(ring.continues(6));
  EXPECT_EQ(ring[ring.after(0)]->offset, ring[ring.begin()]->offset);
  ring.trim(0, ring.end() - 2);
  EXPECT_EQ(ring.end() - ring.begin(), 2u) << "the frames from `keep` on stay";
  ring.trim(0, ring.end());
  EXPECT_EQ(ring.begin(), ring.end());
  EXPECT_FALSE(ring.continues(11)) << "an empty ring knows what it has dropped";
  EXPECT_TRUE(ring.continues(12));
  ring.push(render_frame("", 13, 12, "x"));
  EXPECT_EQ(ring[ring.begin()]->offset, 13);
  ring.clear();
  EXPECT_EQ(ring.bytes(), 0u);
}

TEST_F(SseHub, SendsThePositionAndThenNewFrames) {
  Client& client = connect(41);
  EXPECT_TRUE(client.text.starts_with("HEAD\r\n\r\n"));
  EXPECT_NE(client.text.find("retry: 2000\nevent: ready\nid: 41\ndata: {}\n\n"), std::string::npos);
  publish(42, 44);
  ASSERT_TRUE(has(client, "id: 44\n"));
  EXPECT_EQ(offsets(client), (std::vector{41, 42, 43, 44}));
}

TEST_F(SseHub, SendsEveryFrameOnceToEveryReader) {
  std::vector<Client*> readers;
  for (int i = 0; i < 20; ++i) readers.push_back(&connect());
  for (int offset = 1; offset <= 40; ++offset) publish(offset, offset);
  publish(30, 40);  // the hub must ignore these repeated frames
  publish(41, 41);
  for (Client* reader : readers) {
    ASSERT_TRUE(has(*reader, "id: 41\n"));
    std::vector<int> expected(42);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(offsets(*reader), expected);
  }
}

TEST_F(SseHub, StartsInTheRingAtTheReadersPosition) {
  Client& first = connect();
  publish(1, 10);
  ASSERT_TRUE(has(first, "id: 10\n"));
  Client& second = connect(4);
  ASSERT_TRUE(has(second, "id: 10\n"));
  EXPECT_EQ(offsets(second), (std::vector{4, 5, 6, 7, 8, 9, 10}));
}

// The database of this test does not answer, so a reader that needs a page of Postgres is closed.
TEST_F(SseHub, OnlyAReaderThatJoinsBeforeTheRelayOfARedactionIsSentToPostgres) {
  Client& connected = connect();
  publish(1, 5);
  ASSERT_TRUE(has(connected, "id: 5\n"));
  const Hub::Reservation reservation = hub_->reserve(kStream);
  EXPECT_TRUE(hub_->is_clean(reservation, 0)) << "nothing was redacted";
  EXPECT_FALSE(hub_->is_clean(reservation, 77));
  EXPECT_TRUE(hub_->may_check_redaction(reservation));
  EXPECT_FALSE(hub_->may_check_redaction(reservation)) << "at once again";
  EXPECT_FALSE(hub_->note_redaction(reservation, 77, 6)) << "the ring has not reached the announcement";
  publish(6, 6);
  EXPECT_TRUE(hub_->note_redaction(reservation, 77, 6));
  EXPECT_TRUE(hub_->is_clean(reservation, 77));
  EXPECT_FALSE(hub_->is_clean(reservation, 78)) << "another redaction";
  Client& joining = start_connecting(2, true, 0, 6);
  ASSERT_TRUE(test::run_until(io_, [&] {
    joining.read();
    return joining.ended;
  }));
  EXPECT_EQ(offsets(joining), std::vector{2}) << "frames of the ring";
  ASSERT_TRUE(has(connected, "id: 6\n"));
  publish(7, 7);
  ASSERT_TRUE(has(connected, "id: 7\n")) << "other readers stay";
}

TEST_F(SseHub, ServesHttp10WithoutChunks) {
  Client& client = connect(0, false);
  publish(1, 1);
  ASSERT_TRUE(has(client, "id: 1\n"));
  EXPECT_EQ(client.text, "HEAD\r\n\r\nretry: 2000\nevent: ready\nid: 0\ndata: {}\n\nid: 1\ndata: {xxxxxxxxxx}\n\n");
}

TEST_F(SseHub, DropsAReaderThatLagsMoreThanTheRing) {
  Client& slow = connect(0, true, 4096);
  Client& quick = connect();
  for (int offset = 1; offset <= 400; ++offset) {
    publish(offset, offset, 4000);
    test::run_until(io_, [&] {
      quick.read();
      return quick.text.find("id: " + std::to_string(offset) + "\n") != quick.text.npos;
    });
  }
  EXPECT_TRUE(test::run_until(io_, [&] { return hub_->size() == 1; }));
  EXPECT_TRUE(test::run_until(io_, [&] {
    slow.read();
    return slow.ended;
  }));
  auto seen = offsets(slow);
  EXPECT_LT(seen.size(), 400u);
  for (std::size_t i = 0; i < seen.size(); ++i)
    EXPECT_EQ(seen[i], static_cast<int>(i)) << "the frames before the drop have no gap";
  EXPECT_EQ(offsets(quick).size(), 401u);
}

TEST_F(SseHub, ASlowReaderWithinTheRingGetsEveryFrame) {
  Client& slow = connect(0, true, 4096);
  for (int offset = 1; offset <= 60; ++offset) publish(offset, offset, 3000);
  io_.restart();
  io_.run_for(milliseconds(50));  // time in which the hub fills the buffers of the slow reader's socket
  ASSERT_TRUE(has(slow, "id: 60\n"));
  EXPECT_EQ(offsets(slow).size(), 61u);
  ASSERT_TRUE(has(slow, "x}\n\n\r\n"));
}

TEST_F(SseHub, TheRingIsBoundedInBytes) {
  Client& client = connect();
  for (int i = 0; i < 40; ++i) {
    publish(i + 1, i + 1, 100'000);
    ASSERT_TRUE(has(client, "id: " + std::to_string(i + 1) + "\n"));
  }
  EXPECT_TRUE(test::run_until(io_, [&] { return memory_.held(MemoryClass::rings) <= kRingBytes; }));
  EXPECT_GT(memory_.held(MemoryClass::rings), kRingBytes / 2);
}

TEST_F(SseHub, ADrainThatIsLargerThanTheRingReachesAReaderThatReads) {
  Client& client = connect();
  for (int round = 0; round < 5; ++round) {
    publish(12 * round + 1, 12 * round + 12, 100'000);
    ASSERT_TRUE(has(client, "id: " + std::to_string(12 * round + 12) + "\n"));
  }
  EXPECT_EQ(metrics_.sse_dropped.Value(), 0);
}

TEST_F(SseHub, TheRingOfAStreamWithoutSubscribersIsBoundedInBytes) {
  const auto reservation = hub_->reserve(kStream);
  publish(1, 40, 100'000);
  EXPECT_LE(memory_.held(MemoryClass::rings), kRingBytes);
}

TEST_F(SseHub, ARingIsShedWhenTheMemoryIsFull) {
  Client& client = connect();
  publish(1, 9, 100'000);
  ASSERT_TRUE(has(client, "id: 9\n"));
  const std::size_t before = memory_.held(MemoryClass::rings);
  MemoryBudget::Share other(memory_, MemoryClass::answers, [] {});
  other.set(kMaxMemory);
  EXPECT_TRUE(test::run_until(io_, [&] { return memory_.held(MemoryClass::rings) <= before / 2 + 10'000; }));
  publish(10, 10);
  EXPECT_TRUE(has(client, "id: 10\n")) << "a reader that reads is not disturbed";
}

TEST_F(SseHub, RemovesAReaderThatDisconnects) {
  Client& client = connect();
  connect();
  client.socket.close();
  EXPECT_TRUE(test::run_until(io_, [&] { return hub_->size() == 1; }));
  publish(1, 1);
  EXPECT_TRUE(has(*clients_[1], "id: 1\n"));
}

TEST_F(SseHub, SendsTheReconnectDelayWhenItCloses) {
  Client& client = connect();
  publish(1, 3);
  hub_->close();
  ASSERT_TRUE(test::run_until(io_, [&] {
    client.read();
    return client.ended;
  }));
  EXPECT_EQ(offsets(client), (std::vector{0, 1, 2, 3})) << "published frames are still sent";
  auto retry = client.text.rfind("retry: ");
  int wait = std::stoi(client.text.substr(retry + 7));
  EXPECT_GE(wait, 2000);
  EXPECT_LE(wait, 4000);
  EXPECT_TRUE(client.text.ends_with("\r\n0\r\n\r\n"));
}

TEST_F(SseHub, DisconnectsReadersOfAStreamThatMoved) {
  bool here = true;
  hub_->serves = [&](const std::string& stream_id) { return here && stream_id == kStream; };
  Client& client = connect();
  hub_->disconnect_moved_streams();
  publish(1, 1);
  EXPECT_TRUE(has(client, "id: 1\n"));
  here = false;
  hub_->disconnect_moved_streams();
  ASSERT_TRUE(test::run_until(io_, [&] {
    client.read();
    return client.ended;
  }));
  EXPECT_NE(client.text.rfind("retry: "), client.text.find("retry: ")) << "the reader gets a second reconnect delay";
  EXPECT_TRUE(client.text.ends_with("\r\n0\r\n\r\n"));
  EXPECT_EQ(hub_->size(), 0u);
  Client& late = start_connecting();
  ASSERT_TRUE(test::run_until(io_, [&] {
    late.read();
    return late.ended;
  })) << "a reader that was still connecting is disconnected too";
  EXPECT_EQ(hub_->size(), 0u);
}

class SseHeartbeat : public SseHub {
 protected:
  SseHeartbeat() : SseHub(milliseconds(100)) {}
};

TEST_F(SseHeartbeat, IsSentAfterSilence) {
  Client& client = connect();
  auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(has(client, "2\r\n:\n\r\n2\r\n:\n\r\n2\r\n:\n\r\n"));
  auto took = std::chrono::steady_clock::now() - began;
  EXPECT_GE(took, milliseconds(200));
}

}  // namespace
}  // namespace sealcast::transport::sse
