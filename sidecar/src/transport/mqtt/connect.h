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

// Makes a client that is not connected. libmosquitto passes `self` to the callbacks.
ClientPtr new_client(const Options& options, void* self);

// Connects to `address`. `socket` becomes a duplicate of libmosquitto's socket, because libmosquitto may close its own
// socket at any time. Throws boost::system::system_error after an error of the socket, and another std::runtime_error
// after a failure of TLS or of libmosquitto.
asio::awaitable<void> connect_tcp(mosquitto* client, asio::posix::stream_descriptor& socket,
                                  asio::ip::tcp::endpoint address, const Options& options);

// Does the TLS handshake after connect_tcp(). Throws std::runtime_error when it fails, and boost::system::system_error
// when `socket` is closed.
asio::awaitable<void> do_handshake(mosquitto* client, asio::posix::stream_descriptor& socket, const Tls& tls);

SSL* tls_of(mosquitto* client);  // null without TLS

// The limits for sending: of the broker or of this adapter, whichever is lower.
struct Limits {
  std::size_t window = 0;              // the largest number of PUBLISH packets without an answer
  std::uint32_t max_packet_bytes = 0;  // the largest size of a PUBLISH packet
};

// Reads the limits of the broker from the properties of its CONNACK (MQTT 5.0, 3.2.2.3). Throws std::runtime_error when
// the broker does not accept QoS 1.
Limits read_limits(const mosquitto_property* connack);

}  // namespace sealcast::transport::mqtt
