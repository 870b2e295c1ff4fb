// Encodes the packets that the adapter sends.
#include "transport/mqtt/packet.h"

#include <string_view>

#include "transport/mqtt/protocol.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::mqtt {
namespace {

constexpr std::string_view kContentType = "application/json";
constexpr char kProtocolName[] = "MQTT";
constexpr char kVersion = 5;
constexpr std::uint8_t kCleanStart = 0x02, kHasPassword = 0x40, kHasUser = 0x80;
constexpr char kUtf8 = 1;             // the Payload Format Indicator
constexpr std::uint8_t kQos1 = 0x02;  // a flag in the first byte of PUBLISH

std::size_t varint_bytes(std::size_t value) { return value < 128 ? 1 : 1 + varint_bytes(value / 128); }

void append_varint(std::size_t value, std::string& out) {
  for (; value >= 128; value /= 128) out.push_back(static_cast<char>(0x80 | (value % 128)));
  out.push_back(static_cast<char>(value));
}

void append_number(std::uint32_t value, int bytes, std::string& out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// A text cannot be longer than 65,535 bytes. Only a password could be; cut, it is refused like another wrong password.
void append_text(std::string_view text, std::string& out) {
  text = text.substr(0, 0xFFFF);
  append_number(static_cast<std::uint32_t>(text.size()), 2, out);
  out.append(text);
}

void append_user_property(std::string_view name, std::string_view value, std::string& out) {
  out.push_back(static_cast<char>(Property::user_property));
  append_text(name, out);
  append_text(value, out);
}

void begin(PacketType type, std::uint8_t flags, std::size_t remaining, std::string& out) {
  out.push_back(static_cast<char>(static_cast<std::uint8_t>(type) | flags));
  append_varint(remaining, out);
}

}  // namespace

void append_connect(const Options& options, std::uint16_t keep_alive_seconds, std::uint32_t max_packet_bytes,
                    std::string& out) {
  std::string body;
  append_text(kProtocolName, body);
  body.push_back(kVersion);
  std::uint8_t flags = kCleanStart;
  if (!options.user.empty()) flags |= kHasUser;
  if (!options.password.empty()) flags |= kHasPassword;
  body.push_back(static_cast<char>(flags));
  append_number(keep_alive_seconds, 2, body);
  std::string properties;
  properties.push_back(static_cast<char>(Property::maximum_packet_size));
  append_number(max_packet_bytes, 4, properties);
  append_varint(properties.size(), body);
  body += properties;
  append_text(options.client_id, body);
  if (!options.user.empty()) append_text(options.user, body);
  if (!options.password.empty()) append_text(options.password.text(), body);
  begin(PacketType::connect, 0, body.size(), out);
  out += body;
}

void append_ping(std::string& out) { begin(PacketType::pingreq, 0, 0, out); }

void append_disconnect(std::string& out) { begin(PacketType::disconnect, 0, 0, out); }

Publish::Publish(const Frame& frame, const Options& options)
    : frame_(frame), topic_(outside::expand_template(options.topic, frame.stream_id)) {
  properties_.push_back(static_cast<char>(Property::payload_format));
  properties_.push_back(kUtf8);
  if (options.expiry.count() > 0) {
    properties_.push_back(static_cast<char>(Property::message_expiry));
    append_number(static_cast<std::uint32_t>(options.expiry.count()), 4, properties_);
  }
  properties_.push_back(static_cast<char>(Property::content_type));
  append_text(kContentType, properties_);
  append_user_property("offset", std::to_string(frame.offset), properties_);
  append_user_property("prev", std::to_string(frame.prev), properties_);
  if (!is_gone(frame.text)) append_user_property("kid", envelope_kid(frame.text), properties_);
}

// A topic whose alias the broker knows is empty (MQTT 5.0, 3.3.2.3.4).
std::string_view Publish::sent_topic(const TopicAlias* alias) const {
  return alias != nullptr && alias->is_known ? std::string_view() : topic_;
}

std::size_t Publish::properties_size(const TopicAlias* alias) const {
  constexpr std::size_t kAlias = 3;
  return properties_.size() + (alias != nullptr ? kAlias : 0);
}

std::size_t Publish::remaining(const TopicAlias* alias) const {
  constexpr std::size_t kIdentifier = 2;
  const std::size_t properties = properties_size(alias);
  return 2 + sent_topic(alias).size() + kIdentifier + varint_bytes(properties) + properties + frame_.text.size();
}

std::size_t Publish::bytes(const TopicAlias* alias) const {
  return 1 + varint_bytes(remaining(alias)) + remaining(alias);
}

void Publish::append(std::uint16_t id, const TopicAlias* alias, std::string& out) const {
  begin(PacketType::publish, kQos1, remaining(alias), out);
  append_text(sent_topic(alias), out);
  append_number(id, 2, out);
  append_varint(properties_size(alias), out);
  if (alias != nullptr) {
    out.push_back(static_cast<char>(Property::topic_alias));
    append_number(alias->number, 2, out);
  }
  out += properties_;
  out += frame_.text;
}

}  // namespace sealcast::transport::mqtt
