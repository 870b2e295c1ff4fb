// Decodes packets, and skips the properties that the adapter does not use.
#include "transport/mqtt/packet_reader.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "transport/mqtt/protocol.h"

namespace sealcast::transport::mqtt {
namespace {

[[noreturn]] void refuse(const char* reason) {
  throw std::runtime_error(std::string("the broker sent an invalid packet: ") + reason);
}

// Reads the fields of one packet in order. Throws when a field does not fit into the packet.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : left_(bytes) {}

  bool empty() const { return left_.empty(); }

  std::uint32_t number(std::size_t bytes) {
    std::uint32_t value = 0;
    for (const char byte : take(bytes)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }

  std::uint32_t varint() {
    std::uint32_t value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
      const std::uint8_t next = byte();
      value |= static_cast<std::uint32_t>(next & 0x7F) << shift;
      if (next < 0x80) return value;
    }
    refuse("a length has more than four bytes");
  }

  void skip_text() { take(number(2)); }
  Fields properties() { return Fields(take(varint())); }

  // Skips the value of a property (MQTT 5.0, 2.2.2.2) and returns it if it is a number, else 0.
  std::uint32_t property_value(std::uint8_t id) {
    switch (id) {
      case 0x01:
      case 0x17:
      case 0x19:
      case 0x24:
      case 0x25:
      case 0x28:
      case 0x29:
      case 0x2A:
        return number(1);
      case 0x13:
      case 0x21:
      case 0x22:
      case 0x23:
        return number(2);
      case 0x02:
      case 0x11:
      case 0x18:
      case 0x27:
        return number(4);
      case 0x0B:
        return varint();
      case 0x26:
        skip_text();
        [[fallthrough]];
      case 0x03:
      case 0x08:
      case 0x09:
      case 0x12:
      case 0x15:
      case 0x16:
      case 0x1A:
      case 0x1C:
      case 0x1F:
        skip_text();
        return 0;
      default:
        refuse("a property is unknown");
    }
  }

 private:
  std::string_view take(std::size_t count) {
    if (count > left_.size()) refuse("it ends within a field");
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }

  std::string_view left_;
};

Connack read_connack(Fields fields) {
  fields.byte();  // the flag Session Present; there is no session
  Connack connack{.reason_code = fields.byte()};
  if (fields.empty()) return connack;  // the CONNACK of a broker that only speaks MQTT 3
  Fields properties = fields.properties();
  while (!properties.empty()) {
    const std::uint8_t id = properties.byte();
    const std::uint32_t value = properties.property_value(id);
    switch (static_cast<Property>(id)) {
      case Property::maximum_qos:
        connack.maximum_qos = static_cast<std::uint8_t>(value);
        break;
      case Property::receive_maximum:
        if (value == 0) refuse("its Receive Maximum is 0");
        connack.receive_maximum = static_cast<std::uint16_t>(value);
        break;
      case Property::maximum_packet_size:
        if (value == 0) refuse("its Maximum Packet Size is 0");
        connack.maximum_packet_size = value;
        break;
      case Property::server_keep_alive:
        connack.server_keep_alive = static_cast<std::uint16_t>(value);
        break;
      case Property::topic_alias_maximum:
        connack.topic_alias_maximum = static_cast<std::uint16_t>(value);
        break;
      default:
        break;
    }
  }
  return connack;
}

Received read_packet(std::uint8_t first, Fields fields) {
  switch (static_cast<PacketType>(first)) {
    case PacketType::connack:
      return read_connack(fields);
    case PacketType::puback: {
      Puback puback{.id = static_cast<std::uint16_t>(fields.number(2)), .reason_code = 0};
      if (!fields.empty()) puback.reason_code = fields.byte();
      return puback;
    }
    case PacketType::pingresp:
      return Pingresp{};
    case PacketType::disconnect:
      return Disconnect{fields.empty() ? 0 : fields.byte()};
    default:
      refuse("its type is not CONNACK, PUBACK, PINGRESP or DISCONNECT");
  }
}

}  // namespace

std::optional<Received> PacketReader::next() {
  const std::string_view left(bytes_.get() + begin_, end_ - begin_);
  constexpr std::size_t kMaxHeader = 5;
  const auto length_end =
      std::find_if(left.begin() + !left.empty(), left.end(), [](char byte) { return (byte & 0x80) == 0; });
  if (length_end == left.end()) {
    if (left.size() >= kMaxHeader) refuse("a length has more than four bytes");
    make_space();
    return std::nullopt;
  }
  const std::size_t header = static_cast<std::size_t>(length_end - left.begin()) + 1;
  const std::size_t length = Fields(left.substr(1, header - 1)).varint();
  if (header + length > kMaxBytes) refuse("it is larger than the Maximum Packet Size of CONNECT");
  if (header + length > left.size()) {
    make_space();
    return std::nullopt;
  }
  begin_ += header + length;
  return read_packet(static_cast<std::uint8_t>(left[0]), Fields(left.substr(header, length)));
}

// Moves the bytes that are not decoded yet to the front. They are a part of one packet.
void PacketReader::make_space() {
  std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
}

}  // namespace sealcast::transport::mqtt
