// Creates libmosquitto's client and connects it to a broker without blocking the event loop.
#pragma once

#include <mosquitto.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>

#include "base/asio.h"
#include "transport/mqtt/options.h"

namespace sealcast::transport::mqtt {

struct FreeClient {
  void operator()(mosquitto* client) const { mosquitto_destroy(client); }
};
using ClientPtr = std::unique_ptr<mosquitto, FreeClient>;

// libmosquitto passes `self` to its callbacks.
ClientPtr new_client(const Options& options, void* self);

// Connects to `address`. `socket` becomes a duplicate of libmosquitto's socket, because libmosquitto may close its own
// at any time. Throws boost::system::system_error, or std::runtime_error when TLS fails.
asio::awaitable<void> connect_tcp(mosquitto* client, asio::posix::stream_descriptor& socket,
                                  asio::ip::tcp::endpoint address, const Options& options);

// Does the TLS handshake after connect_tcp(). Throws std::runtime_error when it fails, and boost::system::system_error
// when `socket` is closed.
asio::awaitable<void> do_handshake(mosquitto* client, asio::posix::stream_descriptor& socket, const Tls& tls);

SSL* tls_of(mosquitto* client);  // null: plain TCP

// The limits of a broker, and ours.
struct Limits {
  std::size_t window = 0;              // PUBLISHes without an answer
  std::uint32_t max_packet_bytes = 0;  // of a PUBLISH
};

// Reads the properties of a CONNACK (MQTT 5.0, 3.2.2.3). Throws std::runtime_error when the broker does not accept
// QoS 1.
Limits read_limits(const mosquitto_property* connack);

}  // namespace sealcast::transport::mqtt
