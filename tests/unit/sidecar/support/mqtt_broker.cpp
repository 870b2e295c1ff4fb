// Starts Mosquitto and subscribes to all topics.
#include "support/mqtt_broker.h"

#include <mqtt_protocol.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace sealcast::test {

MqttBroker::MqttBroker(std::vector<std::string> lines) : lines_(std::move(lines)) {
  for (int attempt = 0; attempt < 5; ++attempt) {  // another process may take the port before mosquitto does
    port_ = free_port();
    if (try_start()) return;
  }
  throw std::runtime_error("mosquitto does not start; check that it is installed");
}

bool MqttBroker::try_start() {
  std::string text = "listener " + std::to_string(port_) + " 127.0.0.1\nlog_dest stderr\nlog_type all\nuser root\n";
  for (const auto& line : lines_) text += line + "\n";
  return process_.start({"/usr/sbin/mosquitto", "-c", scratch_.write("mosquitto.conf", text)}, scratch_.path("log"),
                        [this] { return listening(port_); });
}

void MqttBroker::start() {
  if (!try_start()) throw std::runtime_error("mosquitto does not start again on its port");
}

std::size_t MqttBroker::logged(const std::string& text) const {
  std::ifstream log(scratch_.path("log"));
  std::size_t lines = 0;
  for (std::string line; std::getline(log, line);) lines += line.find(text) != std::string::npos;
  return lines;
}

MqttSubscriber::MqttSubscriber(const MqttBroker& broker)
    : client_((mosquitto_lib_init(), mosquitto_new("subscriber", true, this)), mosquitto_destroy) {
  mosquitto_int_option(client_.get(), MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_connect_v5_callback_set(client_.get(), on_connect);
  mosquitto_subscribe_v5_callback_set(client_.get(), on_subscribe);
  mosquitto_message_v5_callback_set(client_.get(), on_message);
  if (mosquitto_connect(client_.get(), "127.0.0.1", broker.port(), 60) != MOSQ_ERR_SUCCESS) {
    throw std::runtime_error("the subscriber cannot connect");
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!subscribed_ && std::chrono::steady_clock::now() < end) mosquitto_loop(client_.get(), 100, 1);
  if (!subscribed_) throw std::runtime_error("the subscriber is not subscribed");
  mosquitto_loop_start(client_.get());
}

MqttSubscriber::~MqttSubscriber() {
  mosquitto_disconnect(client_.get());
  mosquitto_loop_stop(client_.get(), true);
}

std::vector<MqttSubscriber::Message> MqttSubscriber::messages() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

void MqttSubscriber::on_connect(mosquitto* client, void*, int, int, const mosquitto_property*) {
  mosquitto_subscribe_v5(client, nullptr, "#", 1, 0, nullptr);
}

void MqttSubscriber::on_subscribe(mosquitto*, void* self, int, int, const int*, const mosquitto_property*) {
  static_cast<MqttSubscriber*>(self)->subscribed_ = true;
}

void MqttSubscriber::on_message(mosquitto*, void* self, const mosquitto_message* received,
                                const mosquitto_property* properties) {
  Message message;
  message.topic = received->topic;
  message.payload.assign(static_cast<const char*>(received->payload), static_cast<std::size_t>(received->payloadlen));
  char* name = nullptr;
  char* value = nullptr;
  if (mosquitto_property_read_string(properties, MQTT_PROP_CONTENT_TYPE, &value, false) != nullptr) {
    message.content_type = value;
    std::free(value);
  }
  mosquitto_property_read_byte(properties, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, &message.payload_format, false);
  mosquitto_property_read_int32(properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, &message.expiry, false);
  bool skip = false;
  while ((properties = mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name, &value, skip))) {
    message.properties[name] = value;
    std::free(name);
    std::free(value);
    skip = true;
  }
  auto* subscriber = static_cast<MqttSubscriber*>(self);
  const std::lock_guard lock(subscriber->mutex_);
  subscriber->messages_.push_back(std::move(message));
}

}  // namespace sealcast::test
