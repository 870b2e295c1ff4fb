// Publishes frames to an MQTT broker (MQTT v5, https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html).
//
// Each frame is a PUBLISH with QoS 1 to the topic of its stream. The payload is the frame, and the content type is
// application/json. The user properties repeat `offset`, `prev` and `kid`, so that rules of the broker can read them.
//
// Order: the frames of a stream are sent in order over one connection. Several frames are sent before the broker has
// acknowledged the first. So frames that follow a refused frame may reach readers before its retry. After a refused
// frame, a lost connection or a late answer, readers may also get frames twice. The member `prev` of a frame shows a
// reader whether frames are missing before it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::mqtt {

// Returns null when mqtt.url is empty. Throws SettingsError when a file of the settings cannot be used.
std::unique_ptr<outside::Adapter> make_mqtt(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::mqtt
