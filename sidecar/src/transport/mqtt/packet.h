// The packets that the adapter sends to a broker, as bytes (MQTT 5.0, 3.1, 3.3, 3.12 and 3.14).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "transport/frame.h"
#include "transport/mqtt/options.h"
#include "transport/mqtt/topic_aliases.h"

namespace sealcast::transport::mqtt {

// `keep_alive_seconds` is the longest silence that the adapter promises. `max_packet_bytes` is the size of the largest
// packet that it reads.
void append_connect(const Options& options, std::uint16_t keep_alive_seconds, std::uint32_t max_packet_bytes,
                    std::string& out);
void append_ping(std::string& out);
void append_disconnect(std::string& out);

// The PUBLISH packet with QoS 1 for one frame.
class Publish {
 public:
  // `frame` must stay valid as long as this object.
  Publish(const Frame& frame, const Options& options);

  const std::string& topic() const { return topic_; }
  // Returns the size of the whole packet in bytes, as the property Maximum Packet Size counts it
  // (MQTT 5.0, 3.1.2.11.4). `alias` is null for a packet without a topic alias.
  std::size_t bytes(const TopicAlias* alias) const;
  void append(std::uint16_t id, const TopicAlias* alias, std::string& out) const;

 private:
  std::string_view sent_topic(const TopicAlias* alias) const;
  std::size_t properties_size(const TopicAlias* alias) const;
  std::size_t remaining(const TopicAlias* alias) const;

  const Frame& frame_;
  const std::string topic_;
  std::string properties_;
};

}  // namespace sealcast::transport::mqtt
