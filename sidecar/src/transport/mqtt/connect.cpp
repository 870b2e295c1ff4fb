// Connecting: to an address, with TLS, and until the broker says whom it talks to and how much it takes.
#include <fcntl.h>
#include <mqtt_protocol.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "transport/mqtt/link.h"

namespace sealcast::transport::mqtt {
namespace {

using asio::ip::tcp;
using Wait = asio::posix::descriptor_base;

constexpr std::chrono::milliseconds kConnectTimeout{5000};  // from the look-up of the host to the broker's CONNACK
constexpr int kKeepAliveSeconds = 15;  // of silence before a PINGREQ, and again before the connection is given up
constexpr std::uint16_t kMaxInFlight = 1024;       // the broker's Receive Maximum may be less
constexpr std::uint32_t kMaxPacket = 268'435'460;  // what MQTT can express

struct Library {
  Library() { mosquitto_lib_init(); }
  ~Library() { mosquitto_lib_cleanup(); }
};

mosquitto* new_client(const Options& options, void* self) {
  static Library library;
  mosquitto* client = mosquitto_new(options.client_id.c_str(), true, self);
  if (client == nullptr) throw std::bad_alloc();
  mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, kMaxInFlight);
  mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
  if (options.tls) {
    mosquitto_int_option(client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    mosquitto_void_option(client, MOSQ_OPT_SSL_CTX, options.tls->context());
  }
  if (!options.user.empty() || !options.password.empty()) {
    mosquitto_username_pw_set(client, options.user.empty() ? nullptr : options.user.c_str(),
                              options.password.empty() ? nullptr : options.password.c_str());
  }
  return client;
}

}  // namespace

Link::Link(const asio::any_io_executor& executor, const Options& options, std::size_t attempt)
    : executor_(executor),
      options_(options),
      attempt_(attempt),
      client_(new_client(options, this), mosquitto_destroy),
      resolver_(executor),
      socket_(executor),
      limit_(executor),
      beat_(executor),
      ended_(executor, asio::steady_timer::time_point::max()) {
  mosquitto_connect_v5_callback_set(client_.get(), on_connect);
  mosquitto_publish_v5_callback_set(client_.get(), on_publish);
  mosquitto_disconnect_v5_callback_set(client_.get(), on_disconnect);
}

asio::awaitable<void> Link::run(std::function<void()> on_up) {
  const auto self = shared_from_this();
  on_up_ = std::move(on_up);
  limit_.expires_after(kConnectTimeout);
  limit_.async_wait([self](const boost::system::error_code& error) {
    if (!error) self->close("no connection within " + std::to_string(kConnectTimeout.count()) + " ms");
  });
  try {
    co_await connect();
  } catch (const boost::system::system_error& error) {
    close(error.code().message());
  } catch (const std::exception& error) {
    close(error.what());
  }
  boost::system::error_code ignored;
  while (!closed_) co_await ended_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> Link::connect() {
  const auto found =
      co_await resolver_.async_resolve(options_.host, std::to_string(options_.port), asio::use_awaitable);
  std::vector<tcp::endpoint> addresses(found.begin(), found.end());
  const auto first = addresses.begin() + static_cast<std::ptrdiff_t>(attempt_ % addresses.size());
  std::rotate(addresses.begin(), first, addresses.end());
  for (const tcp::endpoint& address : addresses) {
    try {
      co_await reach(address);
      break;
    } catch (const boost::system::system_error&) {
      if (closed_ || address == addresses.back()) throw;
    }
  }
  if (options_.tls) co_await shake_hands();
  watch();
}

// The manual wants a thread for connect_async; all that it lacks is somebody to wait on the socket.
asio::awaitable<void> Link::reach(const tcp::endpoint& address) {
  const auto fail = [](int error) {
    throw boost::system::system_error(boost::system::error_code(error, boost::system::system_category()));
  };
  if (closed_) fail(ECANCELED);
  const int result =
      mosquitto_connect_async(client_.get(), address.address().to_string().c_str(), address.port(), kKeepAliveSeconds);
  if (result == MOSQ_ERR_ERRNO) fail(errno);
  if (result == MOSQ_ERR_TLS) throw std::runtime_error(options_.tls->fault());  // a broker can be as quick as that
  if (result != MOSQ_ERR_SUCCESS) throw std::runtime_error(mosquitto_strerror(result));
  if (socket_.is_open()) socket_.close();
  const int duplicate = ::fcntl(mosquitto_socket(client_.get()), F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) fail(errno);
  socket_.assign(duplicate);
  co_await socket_.async_wait(Wait::wait_write, asio::use_awaitable);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(duplicate, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail(error);
  // libmosquitto has written to the socket already, and may have taken the error away.
  sockaddr_storage peer;
  size = sizeof peer;
  if (::getpeername(duplicate, reinterpret_cast<sockaddr*>(&peer), &size) != 0) fail(ECONNREFUSED);
}

// Here and not in libmosquitto, which goes on for ever when the peer is lost meanwhile, and says nothing of reasons.
asio::awaitable<void> Link::shake_hands() {
  SSL* connection = tls();
  for (;;) {
    ERR_clear_error();
    const int result = SSL_do_handshake(connection);
    if (result == 1) break;
    const int wanted = SSL_get_error(connection, result);
    if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) {
      throw std::runtime_error(options_.tls->fault());
    }
    const auto event = wanted == SSL_ERROR_WANT_READ ? Wait::wait_read : Wait::wait_write;
    co_await socket_.async_wait(event, asio::use_awaitable);
  }
  ERR_clear_error();
  after_call(mosquitto_loop_read(client_.get(), 1));  // asks OpenSSL, and so learns that the handshake is done
}

void Link::on_connect(mosquitto*, void* self, int reason_code, int, const mosquitto_property* properties) {
  Link& link = *static_cast<Link*>(self);
  if (link.closed_) return;
  if (reason_code != MQTT_RC_SUCCESS) {
    link.last_words_ = std::string("it refused the connection: ") + mosquitto_reason_string(reason_code);
    return;
  }
  std::uint8_t qos = 2;
  mosquitto_property_read_byte(properties, MQTT_PROP_MAXIMUM_QOS, &qos, false);
  if (qos == 0) return link.close("it takes no messages of QoS 1");
  std::uint16_t window = kMaxInFlight;
  mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &window, false);
  link.window_ = std::min(window, kMaxInFlight);
  link.max_packet_ = kMaxPacket;
  mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &link.max_packet_, false);
  link.up_ = link.was_up_ = true;
  link.limit_.cancel();
  link.beat();
  link.on_up_();
}

}  // namespace sealcast::transport::mqtt
