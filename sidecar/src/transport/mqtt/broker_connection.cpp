// Waits until the socket of the connection is ready, lets libmosquitto read and write, and closes the connection after
// an error.
#include "transport/mqtt/broker_connection.h"

#include <mqtt_protocol.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <stdexcept>
#include <utility>
#include <vector>

#include "transport/mqtt/packet.h"

namespace sealcast::transport::mqtt {
namespace {

using asio::ip::tcp;
using Wait = asio::posix::descriptor_base;

// From the start of the name lookup to the CONNACK of the broker.
constexpr std::chrono::milliseconds kConnectTimeout{5000};
constexpr std::chrono::milliseconds kKeepAliveInterval{1000};  // between two checks of libmosquitto's keep-alive

}  // namespace

BrokerConnection::BrokerConnection(const asio::any_io_executor& executor, const Options& options, std::size_t attempt)
    : executor_(executor),
      options_(options),
      attempt_(attempt),
      client_(new_client(options, this)),
      resolver_(executor),
      socket_(executor),
      connect_timer_(executor),
      queue_(options.topic),
      closed_(executor) {
  mosquitto_connect_v5_callback_set(client_.get(), on_connect);
  mosquitto_publish_v5_callback_set(client_.get(), on_publish);
  mosquitto_disconnect_v5_callback_set(client_.get(), on_disconnect);
}

asio::awaitable<void> BrokerConnection::run(std::function<void()> on_up) {
  const auto self = shared_from_this();
  on_up_ = std::move(on_up);
  connect_timer_.expires_after(kConnectTimeout);
  connect_timer_.async_wait([self](const boost::system::error_code& error) {
    if (!error) self->close("no connection within " + std::to_string(kConnectTimeout.count()) + " ms");
  });
  try {
    co_await connect();
  } catch (const boost::system::system_error& error) {
    close(error.code().message());
  } catch (const std::exception& error) {
    close(error.what());
  }
  co_await closed_.wait_until();
}

asio::awaitable<void> BrokerConnection::connect() {
  const auto found =
      co_await resolver_.async_resolve(options_.host, std::to_string(options_.port), asio::use_awaitable);
  std::vector<tcp::endpoint> addresses(found.begin(), found.end());
  const auto first = addresses.begin() + static_cast<std::ptrdiff_t>(attempt_ % addresses.size());
  std::rotate(addresses.begin(), first, addresses.end());
  for (const tcp::endpoint& address : addresses) {
    if (closed_.is_set()) co_return;
    try {
      co_await connect_tcp(client_.get(), socket_, address, options_);
      break;
    } catch (const boost::system::system_error&) {
      if (closed_.is_set() || address == addresses.back()) throw;
    }
  }
  if (options_.tls) {
    co_await do_handshake(client_.get(), socket_, *options_.tls);
    ERR_clear_error();
    after_call(mosquitto_loop_read(client_.get(), 1));  // lets libmosquitto notice that the handshake is done
  }
  watch_socket();
}

// Waits until the socket is readable, and also until it is writable when libmosquitto has bytes to write.
void BrokerConnection::watch_socket() {
  if (closed_.is_set()) return;
  if (!reading_) {
    reading_ = true;
    socket_.async_wait(Wait::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
      self->reading_ = false;
      if (!error) self->read();
    });
  }
  if (!writing_ && mosquitto_want_write(client_.get())) {
    writing_ = true;
    socket_.async_wait(Wait::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
      self->writing_ = false;
      if (!error) self->write();
    });
  }
}

// OpenSSL has one error queue per thread. libmosquitto treats any error in this queue as an error of its own
// connection. So the queue is cleared before each call of libmosquitto.
void BrokerConnection::read() {
  int result = MOSQ_ERR_SUCCESS;
  bool more = true;
  while (more && !closed_.is_set()) {
    ERR_clear_error();
    result = mosquitto_loop_read(client_.get(), 1);
    // OpenSSL may have read more bytes from the socket than libmosquitto. The socket does not become readable for these
    // bytes, so the loop continues until OpenSSL has none left.
    SSL* const tls = tls_of(client_.get());
    more = result == MOSQ_ERR_SUCCESS && tls != nullptr && SSL_pending(tls) > 0;
  }
  after_call(result);
}

void BrokerConnection::write() {
  if (closed_.is_set()) return;
  ERR_clear_error();
  after_call(mosquitto_loop_write(client_.get(), 1));
}

asio::awaitable<void> BrokerConnection::keep_alive() {
  // co_await must not be in the condition of the loop, because GCC 12 miscompiles that.
  while (!closed_.is_set()) {
    co_await closed_.wait_for(kKeepAliveInterval);
    if (closed_.is_set()) co_return;
    ERR_clear_error();
    after_call(mosquitto_loop_misc(client_.get()));
  }
}

// Call it after each call of libmosquitto. After an error it closes the connection. Otherwise it sends frames and waits
// for the socket.
void BrokerConnection::after_call(int result) {
  const int error_number = errno;
  if (closed_.is_set()) return;
  if (result != MOSQ_ERR_SUCCESS || mosquitto_socket(client_.get()) < 0) {
    return close(broker_reason_.empty() ? error_text(result, error_number) : broker_reason_);
  }
  send_frames();
  watch_socket();
}

void BrokerConnection::publish(std::shared_ptr<Batch> batch) {
  if (closed_.is_set()) return batch->fail("not connected: " + fault_);
  queue_.add(std::move(batch));
  if (!up_) return;
  send_frames();
  watch_socket();
}

void BrokerConnection::send_frames() {
  if (!up_) return;
  if (const std::string error = queue_.send(client_.get(), limits_); !error.empty()) close(error);
}

// The connection to a slow broker is kept. MQTT repeats no packet within a connection (MQTT 5.0, 4.4). A late answer
// names its packet, so it is not taken for the answer to a retry. But the connection is closed when the broker has
// answered no frame at all since the first frame of this batch was sent.
void BrokerConnection::expire(Batch& batch) {
  const auto since = batch.waiting_since();
  batch.fail(up_ ? "the broker did not answer by the deadline" : "no connection by the deadline");
  if (up_ && since && queue_.last_answer() < *since) close("the broker did not answer in time");
}

void BrokerConnection::disconnect() {
  ERR_clear_error();
  if (up_) mosquitto_disconnect_v5(client_.get(), MQTT_RC_NORMAL_DISCONNECTION, nullptr);
  close("sealcastd is stopping");
}

// This function may run inside a call of libmosquitto, in a callback. So it does not close libmosquitto's own socket,
// but only shuts it down. libmosquitto closes it when the client is destroyed.
void BrokerConnection::close(const std::string& reason) {
  if (closed_.is_set()) return;
  up_ = false;
  fault_ = reason;
  closed_.set();
  if (socket_.is_open()) {
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  resolver_.cancel();
  connect_timer_.cancel();
  queue_.fail("not connected: " + fault_);
}

void BrokerConnection::on_connect(mosquitto*, void* self, int reason_code, int, const mosquitto_property* properties) {
  BrokerConnection& connection = *static_cast<BrokerConnection*>(self);
  if (connection.closed_.is_set()) return;
  if (reason_code != MQTT_RC_SUCCESS) {
    connection.broker_reason_ =
        std::string("the broker refused the connection: ") + mosquitto_reason_string(reason_code);
    return;
  }
  try {
    connection.limits_ = read_limits(properties);
  } catch (const std::runtime_error& error) {
    return connection.close(error.what());
  }
  connection.up_ = connection.was_up_ = true;
  connection.connect_timer_.cancel();
  asio::co_spawn(
      connection.executor_, [alive = connection.shared_from_this()] { return alive->keep_alive(); }, asio::detached);
  connection.on_up_();
}

void BrokerConnection::on_publish(mosquitto*, void* self, int id, int reason_code, const mosquitto_property*) {
  static_cast<BrokerConnection*>(self)->queue_.handle_answer(id, reason_code);
}

// A `reason_code` of at least MQTT_RC_UNSPECIFIED is a reason code of MQTT. A smaller one is an error of libmosquitto.
// It is ignored here, because the call of libmosquitto also returns it.
void BrokerConnection::on_disconnect(mosquitto*, void* self, int reason_code, const mosquitto_property*) {
  BrokerConnection& connection = *static_cast<BrokerConnection*>(self);
  if (reason_code < MQTT_RC_UNSPECIFIED || !connection.broker_reason_.empty()) return;
  connection.broker_reason_ = std::string("the broker ended the connection: ") + mosquitto_reason_string(reason_code);
}

}  // namespace sealcast::transport::mqtt
