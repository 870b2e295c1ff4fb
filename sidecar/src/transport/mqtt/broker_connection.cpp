// Reads and writes the packets of one connection, and closes it after an error.
#include "transport/mqtt/broker_connection.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "base/tls.h"
#include "transport/mqtt/packet.h"
#include "transport/mqtt/protocol.h"

namespace sealcast::transport::mqtt {
namespace {

using asio::ip::tcp;

// From the start of the name lookup to the CONNACK of the broker.
constexpr std::chrono::milliseconds kConnectTimeout{5000};
constexpr std::chrono::seconds kKeepAlive{15};  // the broker may demand another time
constexpr std::chrono::milliseconds kKeepAliveInterval{1000};
constexpr std::uint16_t kMaxInFlight = 1024;  // frames without an answer; the broker's Receive Maximum may be less

std::string fault_text(const boost::system::error_code& error) {
  const bool closed = error == asio::error::eof || error == asio::error::connection_reset ||
                      error == asio::error::broken_pipe || error == asio::ssl::error::stream_truncated;
  return closed ? "the broker closed the connection" : error.message();
}

}  // namespace

BrokerConnection::BrokerConnection(const asio::any_io_executor& executor, const Options& options, std::size_t attempt)
    : executor_(executor),
      options_(options),
      attempt_(attempt),
      resolver_(executor),
      socket_(executor),
      connect_timer_(executor),
      queue_(options_),
      keep_alive_(kKeepAlive),
      closed_(executor) {
  if (options_.tls) tls_.emplace(socket_, *options_.tls);
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
    co_await read_packets();
  } catch (const boost::system::system_error& error) {
    close(fault_text(error.code()));
  } catch (const std::exception& error) {
    close(error.what());
  }
}

asio::awaitable<void> BrokerConnection::connect() {
  std::vector<tcp::endpoint> addresses = co_await resolver_.resolve(options_.host, options_.port);
  if (closed_.is_set()) co_return;
  const auto first = addresses.begin() + static_cast<std::ptrdiff_t>(attempt_ % addresses.size());
  std::rotate(addresses.begin(), first, addresses.end());
  co_await asio::async_connect(socket_, addresses, asio::use_awaitable);
  socket_.set_option(tcp::no_delay(true));
  socket_.non_blocking(true);
  if (tls_) {
    expect_host(tls_->native_handle(), options_.host);
    boost::system::error_code error;
    co_await tls_->async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, error));
    if (error) throw std::runtime_error(handshake_fault(tls_->native_handle(), error));
  }
  append_connect(options_, static_cast<std::uint16_t>(kKeepAlive.count()), PacketReader::kMaxBytes, unsent_);
  write_soon();
}

asio::awaitable<void> BrokerConnection::read_packets() {
  while (!closed_.is_set()) {
    const std::size_t count = co_await read_some();
    reader_.added(count);
    last_received_ = Clock::now();
    while (const std::optional<Received> received = reader_.next()) {
      std::visit([this](const auto& packet) { handle(packet); }, *received);
      if (closed_.is_set()) co_return;
    }
    send_frames();
  }
}

// Asio tries to read before it waits. That read would find nothing, so the plain connection waits first.
asio::awaitable<std::size_t> BrokerConnection::read_some() {
  const std::span<char> space = reader_.space();
  const asio::mutable_buffer buffer(space.data(), space.size());
  if (tls_) {
    co_return co_await tls_->async_read_some(buffer, asio::use_awaitable);
  }
  for (;;) {
    co_await socket_.async_wait(tcp::socket::wait_read, asio::use_awaitable);
    boost::system::error_code error;
    const std::size_t count = socket_.read_some(buffer, error);
    if (!error) co_return count;
    if (error != asio::error::would_block) throw boost::system::system_error(error);
  }
}

void BrokerConnection::handle(const Connack& connack) {
  if (up_) throw std::runtime_error("the broker sent a second CONNACK");
  refused_login_ =
      connack.reason_code == reason::kBadUserNameOrPassword || connack.reason_code == reason::kNotAuthorized;
  if (connack.reason_code != 0) return close("the broker refused the connection: " + reason_text(connack.reason_code));
  if (connack.maximum_qos == 0) return close("the broker does not accept QoS 1");
  limits_.window = std::min(connack.receive_maximum, kMaxInFlight);
  limits_.max_packet_bytes =
      std::min<std::size_t>(connack.maximum_packet_size.value_or(kMaxPacketBytes), kMaxPacketBytes);
  limits_.topic_aliases = connack.topic_alias_maximum;
  if (connack.server_keep_alive) keep_alive_ = std::chrono::seconds(*connack.server_keep_alive);
  up_ = was_up_ = true;
  up_since_ = Clock::now();
  connect_timer_.cancel();
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->keep_alive(); }, asio::detached);
  on_up_();
}

void BrokerConnection::handle(const Puback& puback) { queue_.handle_answer(puback.id, puback.reason_code); }

void BrokerConnection::handle(const Disconnect& disconnect) {
  close("the broker ended the connection: " + reason_text(disconnect.reason_code));
}

// A broker closes a connection on which nothing arrives for 1.5 times the keep-alive. 0 turns the keep-alive off
// (MQTT 5.0, 3.1.2.10).
asio::awaitable<void> BrokerConnection::keep_alive() {
  std::optional<Clock::time_point> pinged;
  while (!closed_.is_set() && keep_alive_.count() > 0) {
    co_await closed_.wait_for(kKeepAliveInterval);
    if (closed_.is_set()) co_return;
    const auto now = Clock::now();
    if (pinged && last_received_ >= *pinged) pinged.reset();
    if (pinged && now >= *pinged + keep_alive_) co_return close("the broker did not answer a ping");
    if (pinged || now + kKeepAliveInterval < std::min(last_sent_, last_received_) + keep_alive_) continue;
    pinged = now;
    append_ping(unsent_);
    write_soon();
  }
}

void BrokerConnection::publish(std::shared_ptr<Batch> batch) {
  if (closed_.is_set()) return batch->fail("not connected: " + fault_);
  queue_.add(std::move(batch));
  send_frames();
}

void BrokerConnection::send_frames() {
  if (!up_) return;
  queue_.send(limits_, unsent_);
  write_soon();
}

// The write is posted, so that it takes the packets of all publishes of this turn of the event loop.
void BrokerConnection::write_soon() {
  if (flushing_ || unsent_.empty()) return;
  flushing_ = true;
  asio::post(executor_, [self = shared_from_this()] { self->write(); });
}

void BrokerConnection::write() {
  if (closed_.is_set()) return;
  writing_.swap(unsent_);
  const auto done = [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
    self->on_written(error);
  };
  if (tls_) {
    asio::async_write(*tls_, asio::buffer(writing_), done);
  } else {
    asio::async_write(socket_, asio::buffer(writing_), done);
  }
}

void BrokerConnection::on_written(const boost::system::error_code& error) {
  if (closed_.is_set()) return;
  if (error) return close(fault_text(error));
  writing_.clear();
  flushing_ = false;
  last_sent_ = Clock::now();
  send_frames();
  write_soon();
}

// The connection to a slow broker is kept. MQTT repeats no packet within a connection (MQTT 5.0, 4.4). A late answer
// names its packet, so it is not taken for the answer to a retry. But the connection is closed when the broker has
// answered no frame at all since the first frame of this batch was sent, or, if the window of unanswered frames had no
// room for it, since the batch was made: the broker may have lost frames, and then the window never gets free.
void BrokerConnection::expire(Batch& batch) {
  const auto since = batch.waiting_since();
  batch.fail(up_ ? "the broker did not answer by the deadline" : "no connection by the deadline");
  if (up_ && since && std::max(queue_.last_answer(), up_since_) < *since) close("the broker did not answer in time");
}

// DISCONNECT must not follow a part of a packet, so it is not sent during a write.
void BrokerConnection::disconnect() {
  if (up_ && writing_.empty()) {
    append_disconnect(unsent_);
    boost::system::error_code ignored;
    const auto bytes = asio::buffer(unsent_);
    tls_ ? asio::write(*tls_, bytes, ignored) : asio::write(socket_, bytes, ignored);
  }
  close("sealcastd is stopping");
}

void BrokerConnection::close(const std::string& reason) {
  if (closed_.is_set()) return;
  up_ = false;
  fault_ = reason;
  closed_.set();
  boost::system::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
  resolver_.cancel();
  connect_timer_.cancel();
  queue_.fail("not connected: " + fault_);
}

}  // namespace sealcast::transport::mqtt
