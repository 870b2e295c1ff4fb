// Decodes the packets that a broker sends: CONNACK, PUBACK, PINGRESP and DISCONNECT. The adapter subscribes to nothing,
// so a broker sends no other packets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

namespace sealcast::transport::mqtt {

// The broker's answer to CONNECT (MQTT 5.0, 3.2). The defaults are those of the specification.
struct Connack {
  int reason_code;
  std::uint8_t maximum_qos = 2;
  std::uint16_t receive_maximum = 65'535;
  std::optional<std::uint32_t> maximum_packet_size{};
  std::optional<std::uint16_t> server_keep_alive{};
  std::uint16_t topic_alias_maximum = 0;
};
struct Puback {
  std::uint16_t id;
  int reason_code;
};
struct Pingresp {};
struct Disconnect {
  int reason_code;
};
using Received = std::variant<Connack, Puback, Pingresp, Disconnect>;

class PacketReader {
 public:
  // The largest packet that fits. CONNECT forbids the broker to send larger ones.
  static constexpr std::size_t kMaxBytes = 16 * 1024;

  // Returns the memory for the next bytes of the connection. It is never empty after next() has returned nullopt.
  std::span<char> space() { return {bytes_.get() + end_, kMaxBytes - end_}; }
  void added(std::size_t count) { end_ += count; }
  // Returns the next packet, or nullopt when more bytes must be read first. Throws std::runtime_error when the bytes
  // are no packet that a broker may send.
  std::optional<Received> next();

 private:
  void make_space();

  const std::unique_ptr<char[]> bytes_ = std::make_unique<char[]>(kMaxBytes);
  std::size_t begin_ = 0, end_ = 0;  // the bytes that are not decoded yet
};

}  // namespace sealcast::transport::mqtt
