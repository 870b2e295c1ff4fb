// Makes the PUBLISH packet for a frame and computes its size (MQTT 5.0, 3.3).
#include "transport/mqtt/packet.h"

#include <mqtt_protocol.h>

#include <string_view>
#include <system_error>

#include "transport/outside/adapter.h"

namespace sealcast::transport::mqtt {
namespace {

constexpr std::string_view kContentType = "application/json";
constexpr int kQos = 1;

std::size_t varint_bytes(std::size_t value) { return value < 128 ? 1 : 1 + varint_bytes(value / 128); }

}  // namespace

Packet::Packet(const Frame& frame, const std::string& topic_template)
    : frame_(frame), topic_(outside::expand_template(topic_template, frame.stream_id)) {
  mosquitto_property* first = nullptr;
  result_ = mosquitto_property_add_string(&first, MQTT_PROP_CONTENT_TYPE, kContentType.data());
  properties_.reset(first);
  property_bytes_ = 1 + 2 + kContentType.size();
  add_user_property("offset", std::to_string(frame.offset));
  add_user_property("prev", std::to_string(frame.prev));
  add_user_property("kid", std::string(envelope_kid(frame.text)));
}

void Packet::add_user_property(const char* name, const std::string& value) {
  if (result_ != MOSQ_ERR_SUCCESS) return;
  mosquitto_property* first = properties_.get();  // does not change, because libmosquitto appends new properties
  result_ = mosquitto_property_add_string_pair(&first, MQTT_PROP_USER_PROPERTY, name, value.c_str());
  property_bytes_ += 1 + 2 + std::string_view(name).size() + 2 + value.size();
}

std::size_t Packet::bytes() const {
  constexpr std::size_t kIdentifier = 2;
  const std::size_t remaining =
      2 + topic_.size() + kIdentifier + varint_bytes(property_bytes_) + property_bytes_ + frame_.text.size();
  return 1 + varint_bytes(remaining) + remaining;
}

int Packet::publish(mosquitto* client, int& id) const {
  if (result_ != MOSQ_ERR_SUCCESS) return result_;
  return mosquitto_publish_v5(client, &id, topic_.c_str(), static_cast<int>(frame_.text.size()), frame_.text.data(),
                              kQos, false, properties_.get());
}

std::string error_text(int result, int error_number) {
  switch (result) {
    case MOSQ_ERR_SUCCESS:
    case MOSQ_ERR_CONN_LOST:
    case MOSQ_ERR_NO_CONN:
      return "the broker closed the connection";
    case MOSQ_ERR_KEEPALIVE:
      return "the broker did not answer a ping";
    case MOSQ_ERR_ERRNO:
      return std::generic_category().message(error_number);
    default:
      return mosquitto_strerror(result);
  }
}

}  // namespace sealcast::transport::mqtt
