// Tests when packets have a topic, an alias, or both.
#include "transport/mqtt/publish_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "transport/mqtt/packet.h"

namespace sealcast::transport::mqtt {
namespace {

constexpr int kSuccess = 0x00, kQuotaExceeded = 0x97;

class MqttPublishQueueTest : public testing::Test {
 protected:
  MqttPublishQueueTest() {
    options_.topic = "chat/{stream_id}";
    limits_ = {.window = 10, .max_packet_bytes = kBytes, .topic_aliases = 1};
    Frame frame;
    frame.stream_id = "s";
    frame.text = std::string(60, 'x');
    frames_.assign(3, std::make_shared<const Frame>(std::move(frame)));
  }

  // Queues `count` frames. Returns the sizes of the topics in the packets, and whether each packet has an alias.
  std::vector<std::pair<std::size_t, bool>> publish(std::size_t count) {
    batches_.push_back(std::make_shared<Batch>(io_.get_executor(), std::span(frames_).first(count),
                                               Clock::now() + std::chrono::hours(1)));
    queue_.add(batches_.back());
    std::string out;
    queue_.send(limits_, out);
    std::vector<std::pair<std::size_t, bool>> packets;
    for (std::size_t at = 0; at < out.size();) {
      const std::size_t header = out[at + 1] < 0 ? 3 : 2;
      const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(out[at + i]); };
      const std::size_t length = (byte(1) & 0x7F) + (header == 3 ? 128u * byte(2) : 0);
      const std::size_t topic = byte(header + 1);
      packets.emplace_back(topic, out[at + header + 2 + topic + 2 + 1] == 0x23);  // the first property
      at += header + length;
    }
    return packets;
  }

  static constexpr std::size_t kBytes = 1000;
  static constexpr std::size_t kTopic = 6;  // chat/s

  asio::io_context io_;
  Options options_;
  Limits limits_;
  std::vector<FramePtr> frames_;
  std::vector<std::shared_ptr<Batch>> batches_;
  PublishQueue queue_{options_};
};

using Packets = std::vector<std::pair<std::size_t, bool>>;

TEST_F(MqttPublishQueueTest, AnAliasReplacesTheTopicWhenTheBrokerHasAcknowledgedIt) {
  EXPECT_EQ(publish(2), (Packets{{kTopic, true}, {kTopic, true}}));
  queue_.handle_answer(1, kSuccess);
  EXPECT_EQ(publish(2), (Packets{{0, true}, {0, true}}));
}

TEST_F(MqttPublishQueueTest, ARefusedPacketDoesNotMakeItsAliasKnown) {
  EXPECT_EQ(publish(1), (Packets{{kTopic, true}}));
  queue_.handle_answer(1, kQuotaExceeded);
  EXPECT_EQ(publish(1), (Packets{{kTopic, true}}));
}

TEST_F(MqttPublishQueueTest, PacketsHaveNoAliasWhenTheBrokerAllowsNone) {
  limits_.topic_aliases = 0;
  EXPECT_EQ(publish(1), (Packets{{kTopic, false}}));
  queue_.handle_answer(1, kSuccess);
  EXPECT_EQ(publish(1), (Packets{{kTopic, false}}));
}

TEST_F(MqttPublishQueueTest, AnAliasDoesNotMakeAPacketTooLarge) {
  limits_.max_packet_bytes = Publish(*frames_[0], options_).bytes(nullptr);
  EXPECT_EQ(publish(1), (Packets{{kTopic, false}}));
  ++limits_.max_packet_bytes;
  ++limits_.max_packet_bytes;
  EXPECT_EQ(publish(1), (Packets{{kTopic, false}}));
  ++limits_.max_packet_bytes;
  EXPECT_EQ(publish(1), (Packets{{kTopic, true}}));
}

}  // namespace
}  // namespace sealcast::transport::mqtt
