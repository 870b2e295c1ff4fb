// Starts a Mosquitto broker on a free port for one test, and records all its messages with a subscriber.
#pragma once

#include <mosquitto.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "support/scratch.h"
#include "support/server_process.h"

namespace sealcast::test {

class MqttBroker {
 public:
  // The broker listens when this returns. `lines` are added to its configuration.
  explicit MqttBroker(std::vector<std::string> lines = {"allow_anonymous true"});

  void stop() { process_.kill(); }
  void start();  // starts the broker again on the same port; sessions from before stop() are lost
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  int port() const { return port_; }
  std::string url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }
  std::size_t logged(const std::string& text) const;  // number of lines in the broker's log that contain this text

 private:
  bool try_start();

  Scratch scratch_;
  std::vector<std::string> lines_;
  int port_ = 0;
  ServerProcess process_;
};

class MqttSubscriber {
 public:
  struct Message {
    std::string topic;
    std::string payload;
    std::string content_type;
    std::uint8_t payload_format = 0;
    std::uint32_t expiry = 0;                       // 0: none
    std::map<std::string, std::string> properties;  // user properties
  };

  // The subscription to all topics is active when this returns.
  explicit MqttSubscriber(const MqttBroker& broker);
  ~MqttSubscriber();

  std::vector<Message> messages() const;

 private:
  static void on_connect(mosquitto* client, void*, int, int, const mosquitto_property*);
  static void on_subscribe(mosquitto*, void* self, int, int, const int*, const mosquitto_property*);
  static void on_message(mosquitto*, void* self, const mosquitto_message*, const mosquitto_property*);

  mutable std::mutex mutex_;
  std::vector<Message> messages_;
  bool subscribed_ = false;
  std::unique_ptr<mosquitto, void (*)(mosquitto*)> client_;
};

}  // namespace sealcast::test
