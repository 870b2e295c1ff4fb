// MQTT v5 (https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html): each frame is a PUBLISH with QoS 1 to its
// stream's topic. The payload is the frame, the content type application/json; `offset`, `prev` and `kid` are user
// properties too, so that a broker's rules can read them. Order: a stream's frames go out in order over one connection,
// several before the first is acknowledged. So after a frame that the broker refused, or a lost connection, a
// subscriber may see frames again, and sees by `prev` what it missed meanwhile.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::mqtt {

// Null when the settings leave it off. Throws SettingsError when a file of theirs cannot be used.
std::unique_ptr<outside::Adapter> make_mqtt(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::mqtt
