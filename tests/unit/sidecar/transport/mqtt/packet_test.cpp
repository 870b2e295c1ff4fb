// Tests the bytes of the packets that the adapter sends, and the decoding of a broker's packets.
#include "transport/mqtt/packet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "transport/mqtt/packet_reader.h"
#include "transport/mqtt/protocol.h"

namespace sealcast::transport::mqtt {
namespace {

using namespace std::string_literals;

std::string connect_packet(const std::string& user, const std::string& password) {
  Options options;
  options.client_id = "id";
  options.user = user;
  options.password = Secret(password);
  std::string out;
  append_connect(options, 15, 16'384, out);
  return out;
}

Options options(const std::string& topic) {
  Options options;
  options.topic = topic;
  return options;
}

Frame make_frame(std::size_t bytes) {
  Frame frame;
  frame.stream_id = "s";
  frame.offset = 7;
  frame.prev = 6;
  append_frame(7, 6, R"({"v":1,"kid":"k1","d":")" + std::string(bytes, 'x') + "\"}", {}, frame.text);
  return frame;
}

// Feeds the bytes in pieces of this size, and returns all packets.
std::vector<Received> decode(const std::string& bytes, std::size_t piece) {
  PacketReader reader;
  std::vector<Received> packets;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::span<char> space = reader.space();
    const std::size_t count = std::min({piece, space.size(), bytes.size() - at});
    std::memcpy(space.data(), bytes.data() + at, count);
    reader.added(count);
    at += count;
    while (auto packet = reader.next()) packets.push_back(*packet);
  }
  return packets;
}

std::string fault_of(const std::string& bytes) {
  try {
    decode(bytes, bytes.size());
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "none";
}

TEST(MqttPacketTest, ConnectHasTheCredentialsThatAreSet) {
  const std::string properties = "\x05\x27\x00\x00\x40\x00"s;
  EXPECT_EQ(connect_packet("", ""), "\x10\x14\x00\x04MQTT\x05\x02\x00\x0f"s + properties + "\x00\x02id"s);
  EXPECT_EQ(connect_packet("u", ""), "\x10\x17\x00\x04MQTT\x05\x82\x00\x0f"s + properties + "\x00\x02id\x00\x01u"s);
  EXPECT_EQ(connect_packet("u", "pw"),
            "\x10\x1b\x00\x04MQTT\x05\xc2\x00\x0f"s + properties + "\x00\x02id\x00\x01u\x00\x02pw"s);
  EXPECT_EQ(connect_packet("", "pw"), "\x10\x18\x00\x04MQTT\x05\x42\x00\x0f"s + properties + "\x00\x02id\x00\x02pw"s);
}

TEST(MqttPacketTest, PublishHasTopicIdentifierPropertiesAndFrame) {
  const Frame frame = make_frame(1);
  std::string out = "before";
  Publish(frame, options("a/{stream_id}")).append(0x0102, nullptr, out);
  const std::string properties = "\x01\x01\x03\x00\x10"s + "application/json" + "\x26\x00\x06offset\x00\x01"s + "7" +
                                 "\x26\x00\x04prev\x00\x01"s + "6" + "\x26\x00\x03kid\x00\x02k1"s;
  const std::string body =
      "\x00\x03"s + "a/s" + "\x01\x02"s + static_cast<char>(properties.size()) + properties + frame.text;
  ASSERT_LT(body.size(), 128u);
  EXPECT_EQ(out, "before\x32"s + static_cast<char>(body.size()) + body);
}

TEST(MqttPacketTest, TheSizeOfAPublishIsExact) {
  for (const std::size_t bytes : {0, 1, 100, 16'000, 16'384, 20'000, 2'097'152, 3'000'000}) {
    const Frame frame = make_frame(bytes);
    const Publish packet(frame, options("sealcast/{stream_id}"));
    const TopicAlias first{1, false}, known{1, true};
    for (const TopicAlias* alias : {static_cast<const TopicAlias*>(nullptr), &first, &known}) {
      std::string out;
      packet.append(1, alias, out);
      EXPECT_EQ(packet.bytes(alias), out.size());
    }
  }
}

TEST(MqttPacketTest, PublishHasTheExpiryThatIsSet) {
  const Frame frame = make_frame(1);
  Options with_expiry = options("a/{stream_id}");
  with_expiry.expiry = std::chrono::seconds(0x01020304);
  std::string out;
  Publish(frame, with_expiry).append(1, nullptr, out);
  EXPECT_NE(out.find("\x01\x01\x02\x01\x02\x03\x04\x03"s), std::string::npos);
}

TEST(MqttPacketTest, AnAliasIsSentWithItsTopicUntilTheBrokerKnowsIt) {
  const Frame frame = make_frame(1);
  const Publish packet(frame, options("a/{stream_id}"));
  std::string out;
  packet.append(1, std::make_unique<TopicAlias>(TopicAlias{0x0203, false}).get(), out);
  EXPECT_EQ(out.substr(2, 7), "\x00\x03"s + "a/s" + "\x00\x01"s);
  EXPECT_EQ(out.substr(10, 4), "\x23\x02\x03\x01"s);
  out.clear();
  packet.append(1, std::make_unique<TopicAlias>(TopicAlias{0x0203, true}).get(), out);
  EXPECT_EQ(out.substr(2, 4), "\x00\x00\x00\x01"s);
  EXPECT_EQ(out.substr(7, 4), "\x23\x02\x03\x01"s);
}

// On a stream with the default topic, an alias saves 42 bytes of each packet.
TEST(MqttPacketTest, AnAliasMakesThePacketShorter) {
  Frame frame = make_frame(300);
  frame.stream_id = "0190d000-0000-7000-8000-000000000001";
  const Publish packet(frame, options("sealcast/{stream_id}"));
  const TopicAlias known{1, true};
  EXPECT_EQ(packet.bytes(nullptr) - packet.bytes(&known), 42u);
}

TEST(MqttPacketTest, PacketsAreDecodedAlsoFromPieces) {
  const std::string bytes =
      "\x20\x18\x00\x00\x15\x22\x00\x0a\x24\x01\x27\x00\x00\x10\x00\x13\x00\x1e\x21\x00\x14\x1f\x00\x02ok"s  // CONNACK
      "\x40\x02\x00\x01\x40\x03\x01\x02\x10\x40\x04\x00\x03\x97\x00"s                                        // PUBACK
      "\xd0\x00\xe0\x00\xe0\x02\x8b\x00"s;  // PINGRESP, DISCONNECT
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, bytes.size()}) {
    const auto packets = decode(bytes, piece);
    ASSERT_EQ(packets.size(), 7u);
    const auto& connack = std::get<Connack>(packets[0]);
    EXPECT_EQ(connack.reason_code, 0);
    EXPECT_EQ(connack.maximum_qos, 1);
    EXPECT_EQ(connack.maximum_packet_size, 4096u);
    EXPECT_EQ(connack.server_keep_alive, 30);
    EXPECT_EQ(connack.receive_maximum, 20);
    EXPECT_EQ(connack.topic_alias_maximum, 10);
    EXPECT_EQ(std::get<Puback>(packets[1]).id, 1);
    EXPECT_EQ(std::get<Puback>(packets[1]).reason_code, 0);
    EXPECT_EQ(std::get<Puback>(packets[2]).id, 0x0102);
    EXPECT_EQ(std::get<Puback>(packets[2]).reason_code, 0x10);
    EXPECT_EQ(std::get<Puback>(packets[3]).reason_code, 0x97);
    EXPECT_TRUE(std::holds_alternative<Pingresp>(packets[4]));
    EXPECT_EQ(std::get<Disconnect>(packets[5]).reason_code, 0);
    EXPECT_EQ(std::get<Disconnect>(packets[6]).reason_code, 0x8b);
  }
}

TEST(MqttPacketTest, ManyPacketsFitThroughTheBuffer) {
  std::string bytes;
  for (int i = 0; i < 10'000; ++i) bytes += "\x40\x02\x00\x01"s;
  EXPECT_EQ(decode(bytes, bytes.size()).size(), 10'000u);
  EXPECT_EQ(decode(bytes, 1021).size(), 10'000u);
}

TEST(MqttPacketTest, ABrokerThatOnlySpeaksMqtt3IsUnderstood) {
  const auto packets = decode("\x20\x02\x00\x01"s, 4);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(reason_text(std::get<Connack>(packets[0]).reason_code), "Unacceptable protocol version");
}

TEST(MqttPacketTest, InvalidPacketsAreRefused) {
  const std::string prefix = "the broker sent an invalid packet: ";
  EXPECT_EQ(fault_of("\x40\xff\xff\xff\xff"s), prefix + "a length has more than four bytes");
  EXPECT_EQ(fault_of("\x40\xff\xff\xff\xff\x01"s), prefix + "a length has more than four bytes");
  EXPECT_EQ(fault_of("\x40\x80\x80\x02"s), prefix + "it is larger than the Maximum Packet Size of CONNECT");
  EXPECT_EQ(fault_of("\x40\x01\x00"s), prefix + "it ends within a field");
  EXPECT_EQ(fault_of("\x20\x06\x00\x00\x03\x21\x00\x00"s), prefix + "its Receive Maximum is 0");
  EXPECT_EQ(fault_of("\x20\x08\x00\x00\x05\x27\x00\x00\x00\x00"s), prefix + "its Maximum Packet Size is 0");
  EXPECT_EQ(fault_of("\x20\x05\x00\x00\x02\x7f\x00"s), prefix + "a property is unknown");
  EXPECT_EQ(fault_of("\x20\x04\x00\x00\x05\x21"s), prefix + "it ends within a field");
  EXPECT_EQ(fault_of("\x30\x05\x00\x01\x61\x00x"s), prefix + "its type is not CONNACK, PUBACK, PINGRESP or DISCONNECT");
  EXPECT_EQ(fault_of("\x00\x00"s), prefix + "its type is not CONNACK, PUBACK, PINGRESP or DISCONNECT");
}

// The table of MQTT 5.0, 2.4: the codes that CONNACK, PUBACK or DISCONNECT may have.
TEST(MqttPacketTest, EveryReasonCodeThatABrokerMaySendHasItsName) {
  const std::map<int, std::string> table = {
      {0x00, "Success"},
      {0x10, "No matching subscribers"},
      {0x80, "Unspecified error"},
      {0x81, "Malformed packet"},
      {0x82, "Protocol error"},
      {0x83, "Implementation specific error"},
      {0x84, "Unsupported protocol version"},
      {0x85, "Client identifier not valid"},
      {0x86, "Bad user name or password"},
      {0x87, "Not authorized"},
      {0x88, "Server unavailable"},
      {0x89, "Server busy"},
      {0x8A, "Banned"},
      {0x8B, "Server shutting down"},
      {0x8C, "Bad authentication method"},
      {0x8D, "Keep alive timeout"},
      {0x8E, "Session taken over"},
      {0x8F, "Topic filter invalid"},
      {0x90, "Topic name invalid"},
      {0x91, "Packet identifier in use"},
      {0x93, "Receive maximum exceeded"},
      {0x94, "Topic alias invalid"},
      {0x95, "Packet too large"},
      {0x96, "Message rate too high"},
      {0x97, "Quota exceeded"},
      {0x98, "Administrative action"},
      {0x99, "Payload format invalid"},
      {0x9A, "Retain not supported"},
      {0x9B, "QoS not supported"},
      {0x9C, "Use another server"},
      {0x9D, "Server moved"},
      {0x9E, "Shared subscriptions not supported"},
      {0x9F, "Connection rate exceeded"},
      {0xA0, "Maximum connect time"},
      {0xA1, "Subscription identifiers not supported"},
      {0xA2, "Wildcard subscriptions not supported"},
  };
  for (const auto& [code, name] : table) EXPECT_EQ(reason_text(code), name);
}

TEST(MqttPacketTest, UnknownReasonCodesHaveAText) { EXPECT_EQ(reason_text(0xFE), "reason code 0xfe"); }

}  // namespace
}  // namespace sealcast::transport::mqtt
