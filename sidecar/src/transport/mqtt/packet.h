// The PUBLISH packet for one frame: its topic, its properties and its exact size.
#pragma once

#include <mosquitto.h>

#include <cstddef>
#include <memory>
#include <string>

#include "transport/frame.h"

namespace sealcast::transport::mqtt {

class Packet {
 public:
  // `frame` must stay valid as long as this object.
  Packet(const Frame& frame, const std::string& topic_template);

  // Returns the size of the whole packet in bytes, as the property Maximum Packet Size counts it
  // (MQTT 5.0, 3.1.2.11.4).
  std::size_t bytes() const;
  // Gives the packet to libmosquitto. Returns MOSQ_ERR_SUCCESS and sets `id` to the packet identifier, or returns an
  // error code of libmosquitto.
  int publish(mosquitto* client, int& id) const;

 private:
  struct FreeProperties {
    void operator()(mosquitto_property* first) const { mosquitto_property_free_all(&first); }
  };
  void add_user_property(const char* name, const std::string& value);

  const Frame& frame_;
  const std::string topic_;
  int result_ = MOSQ_ERR_SUCCESS;  // the first error of libmosquitto when properties were added
  std::size_t property_bytes_ = 0;
  std::unique_ptr<mosquitto_property, FreeProperties> properties_;
};

// Returns a text for `result`, the error code of a call of libmosquitto. `error_number` is the value of errno after
// that call.
std::string error_text(int result, int error_number);

}  // namespace sealcast::transport::mqtt
