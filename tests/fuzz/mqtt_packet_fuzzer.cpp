// Decodes the input as packets of an MQTT broker, at once and in pieces. The first byte is the size of the pieces.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "fuzz.h"
#include "transport/mqtt/packet_reader.h"

namespace sealcast::fuzz {
namespace {

using namespace transport::mqtt;

std::string describe(const Connack& packet) {
  return fmt::format("connack {} {} {} {} {} {}\n", packet.reason_code, packet.maximum_qos, packet.receive_maximum,
                     packet.maximum_packet_size.value_or(0), packet.server_keep_alive.value_or(0),
                     packet.topic_alias_maximum);
}
std::string describe(const Puback& packet) { return fmt::format("puback {} {}\n", packet.id, packet.reason_code); }
std::string describe(const Pingresp&) { return "pingresp\n"; }
std::string describe(const Disconnect& packet) { return fmt::format("disconnect {}\n", packet.reason_code); }

// Returns the packets and the error as text.
std::string decode(std::string_view bytes, std::size_t piece) {
  PacketReader reader;
  std::string packets;
  try {
    while (!bytes.empty()) {
      const std::span<char> space = reader.space();
      require(!space.empty(), "there is always room for the rest of a packet");
      const std::size_t count = std::min({piece, space.size(), bytes.size()});
      std::memcpy(space.data(), bytes.data(), count);
      reader.added(count);
      bytes.remove_prefix(count);
      while (const auto packet = reader.next()) {
        packets += std::visit([](const auto& received) { return describe(received); }, *packet);
      }
    }
  } catch (const std::runtime_error& error) {
    packets += error.what();
  }
  return packets;
}

}  // namespace

void check(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::size_t piece = std::max<std::size_t>(1, static_cast<unsigned char>(bytes[0]));
  bytes.remove_prefix(1);
  require(decode(bytes, piece) == decode(bytes, std::numeric_limits<std::size_t>::max()),
          "pieces of a packet give the same packets as the whole");
}

}  // namespace sealcast::fuzz
