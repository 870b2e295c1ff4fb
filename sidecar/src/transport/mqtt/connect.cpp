// Connects to one address of the broker, does the TLS handshake, and reads the limits of the broker.
#include "transport/mqtt/connect.h"

#include <fcntl.h>
#include <mqtt_protocol.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <new>
#include <stdexcept>

namespace sealcast::transport::mqtt {
namespace {

using Wait = asio::posix::descriptor_base;

// After this many seconds of silence libmosquitto sends a PINGREQ. After the same time without an answer it closes the
// connection.
constexpr int kKeepAliveSeconds = 15;
constexpr std::uint16_t kMaxInFlight = 1024;       // frames without an answer; the broker's Receive Maximum may be less
constexpr std::uint32_t kMaxPacket = 268'435'460;  // bytes; the largest size that MQTT can express

struct Library {
  Library() { mosquitto_lib_init(); }
  ~Library() { mosquitto_lib_cleanup(); }
};

[[noreturn]] void fail(int error_number) {
  throw boost::system::system_error(boost::system::error_code(error_number, boost::system::system_category()));
}

}  // namespace

ClientPtr new_client(const Options& options, void* self) {
  static Library library;
  ClientPtr client(mosquitto_new(options.client_id.c_str(), true, self));
  if (!client) throw std::bad_alloc();
  mosquitto_int_option(client.get(), MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(client.get(), MOSQ_OPT_SEND_MAXIMUM, kMaxInFlight);
  mosquitto_int_option(client.get(), MOSQ_OPT_TCP_NODELAY, 1);
  if (options.tls) {
    mosquitto_int_option(client.get(), MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    mosquitto_void_option(client.get(), MOSQ_OPT_SSL_CTX, options.tls->context());
  }
  if (!options.user.empty() || !options.password.empty()) {
    mosquitto_username_pw_set(client.get(), options.user.empty() ? nullptr : options.user.c_str(),
                              options.password.empty() ? nullptr : options.password.c_str());
  }
  return client;
}

// The manual of libmosquitto demands its network thread for mosquitto_connect_async(). That thread would only wait for
// the socket. Here Asio waits for it, so no thread is needed.
asio::awaitable<void> connect_tcp(mosquitto* client, asio::posix::stream_descriptor& socket,
                                  asio::ip::tcp::endpoint address, const Options& options) {
  const int result =
      mosquitto_connect_async(client, address.address().to_string().c_str(), address.port(), kKeepAliveSeconds);
  if (result == MOSQ_ERR_ERRNO) fail(errno);
  // When the broker is near, the TLS handshake can fail within mosquitto_connect_async().
  if (result == MOSQ_ERR_TLS) throw std::runtime_error(options.tls->fault());
  if (result != MOSQ_ERR_SUCCESS) throw std::runtime_error(mosquitto_strerror(result));
  if (socket.is_open()) socket.close();
  const int duplicate = ::fcntl(mosquitto_socket(client), F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) fail(errno);
  socket.assign(duplicate);
  co_await socket.async_wait(Wait::wait_write, asio::use_awaitable);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(duplicate, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail(error);
  // libmosquitto may have cleared SO_ERROR, because it has already written to the socket. So a second check is needed:
  // a socket without a peer is not connected.
  sockaddr_storage peer;
  size = sizeof peer;
  if (::getpeername(duplicate, reinterpret_cast<sockaddr*>(&peer), &size) != 0) fail(ECONNREFUSED);
}

// The handshake function of libmosquitto is not used: it loops for ever when the connection is lost during the
// handshake, and it reports no reason for a failure.
asio::awaitable<void> do_handshake(mosquitto* client, asio::posix::stream_descriptor& socket, const Tls& tls) {
  SSL* connection = tls_of(client);
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(connection);
    if (result == 1) co_return;
    const int wanted = SSL_get_error(connection, result);
    if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) throw std::runtime_error(tls.fault());
    const auto event = wanted == SSL_ERROR_WANT_READ ? Wait::wait_read : Wait::wait_write;
    co_await socket.async_wait(event, asio::use_awaitable);
  }
}

SSL* tls_of(mosquitto* client) { return static_cast<SSL*>(mosquitto_ssl_get(client)); }

Limits read_limits(const mosquitto_property* connack) {
  std::uint8_t qos = 2;
  mosquitto_property_read_byte(connack, MQTT_PROP_MAXIMUM_QOS, &qos, false);
  if (qos == 0) throw std::runtime_error("the broker does not accept QoS 1");
  std::uint16_t window = kMaxInFlight;
  mosquitto_property_read_int16(connack, MQTT_PROP_RECEIVE_MAXIMUM, &window, false);
  Limits limits{.window = std::min(window, kMaxInFlight), .max_packet_bytes = kMaxPacket};
  mosquitto_property_read_int32(connack, MQTT_PROP_MAXIMUM_PACKET_SIZE, &limits.max_packet_bytes, false);
  return limits;
}

}  // namespace sealcast::transport::mqtt
