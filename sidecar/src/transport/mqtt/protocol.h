// The numbers of MQTT 5.0 that the adapter uses (https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sealcast::transport::mqtt {

// The type is in the upper four bits of a packet's first byte (2.1.2).
enum class PacketType : std::uint8_t {
  connect = 0x10,
  connack = 0x20,
  publish = 0x30,
  puback = 0x40,
  pingreq = 0xC0,
  pingresp = 0xD0,
  disconnect = 0xE0,
};

// The identifiers of properties (2.2.2.2).
enum class Property : std::uint8_t {
  payload_format = 0x01,
  message_expiry = 0x02,
  content_type = 0x03,
  server_keep_alive = 0x13,
  receive_maximum = 0x21,
  topic_alias_maximum = 0x22,
  topic_alias = 0x23,
  maximum_qos = 0x24,
  user_property = 0x26,
  maximum_packet_size = 0x27,
};

// Reason codes (2.4). A reason code of at least kFirstFailure is a failure.
namespace reason {
inline constexpr int kFirstFailure = 0x80;
inline constexpr int kBadUserNameOrPassword = 0x86;
inline constexpr int kNotAuthorized = 0x87;
inline constexpr int kTopicNameInvalid = 0x90;
inline constexpr int kPacketTooLarge = 0x95;
inline constexpr int kPayloadFormatInvalid = 0x99;
}  // namespace reason

// Returns the name of a reason code in the specification.
std::string reason_text(int code);

constexpr std::size_t kMaxPacketBytes = 268'435'460;  // the largest packet that MQTT can express (1.5.5)

}  // namespace sealcast::transport::mqtt
