// Waiting on the socket, sending frames, and matching the broker's answers to them.
#include "transport/mqtt/link.h"

#include <mqtt_protocol.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "transport/mqtt/packet.h"

namespace sealcast::transport::mqtt {
namespace {

using Wait = asio::posix::descriptor_base;

constexpr std::chrono::milliseconds kBeat{1000};  // libmosquitto looks at its keep-alive this often

// `error` is errno as the call left it.
std::string fault_of(int result, int error) {
  switch (result) {
    case MOSQ_ERR_SUCCESS:
    case MOSQ_ERR_CONN_LOST:
    case MOSQ_ERR_NO_CONN:
      return "it closed the connection";
    case MOSQ_ERR_KEEPALIVE:
      return "it did not answer a ping";
    case MOSQ_ERR_ERRNO:
      return std::generic_category().message(error);
    default:
      return mosquitto_strerror(result);
  }
}

}  // namespace

SSL* Link::tls() const { return static_cast<SSL*>(mosquitto_ssl_get(client_.get())); }

// Asks for the events that libmosquitto waits for.
void Link::watch() {
  if (closed_) return;
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

// libmosquitto takes whatever stands in the thread's queue of OpenSSL errors for its own: it is emptied before each
// call.
void Link::read() {
  int result = MOSQ_ERR_SUCCESS;
  bool more = true;
  while (more && !closed_) {
    ERR_clear_error();
    result = mosquitto_loop_read(client_.get(), 1);
    // What OpenSSL has read ahead makes the socket readable for nobody.
    more = result == MOSQ_ERR_SUCCESS && tls() != nullptr && SSL_pending(tls()) > 0;
  }
  after_call(result);
}

void Link::write() {
  if (closed_) return;
  ERR_clear_error();
  after_call(mosquitto_loop_write(client_.get(), 1));
}

void Link::beat() {
  beat_.expires_after(kBeat);
  beat_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->closed_) return;
    ERR_clear_error();
    self->after_call(mosquitto_loop_misc(self->client_.get()));
    self->beat();
  });
}

void Link::after_call(int result) {
  const int error = errno;
  if (closed_) return;
  if (result != MOSQ_ERR_SUCCESS || mosquitto_socket(client_.get()) < 0) {
    return close(last_words_.empty() ? fault_of(result, error) : last_words_);
  }
  pump();
  watch();
}

void Link::send(std::shared_ptr<Batch> batch) {
  if (closed_) return batch->lose("the broker is away: " + fault_);
  sending_.push_back(std::move(batch));
  pump();
  if (up_) watch();
}

void Link::pump() {
  while (up_ && !sending_.empty() && in_flight_.size() < window_) {
    const std::shared_ptr<Batch> batch = sending_.front();
    if (batch->has_next()) {
      send_next(batch);
    } else {
      sending_.pop_front();
    }
  }
}

void Link::send_next(const std::shared_ptr<Batch>& batch) {
  const Packet packet(batch->next(), options_.topic);
  if (const std::size_t bytes = packet.bytes(); bytes > max_packet_) {
    return batch->refuse_next("its packet has " + std::to_string(bytes) + " bytes, and the broker takes " +
                              std::to_string(max_packet_));
  }
  int id = 0;
  ERR_clear_error();
  const int result = packet.publish(client_.get(), id);
  if (result != MOSQ_ERR_SUCCESS) return close(fault_of(result, errno));
  in_flight_.emplace(id, Flight{batch, batch->take()});
}

// A broker that is only slow keeps its connection: on it nothing is ever sent again, and a late answer belongs to the
// packet that it names. One that has not answered anybody meanwhile is taken for dead.
void Link::give_up(Batch& batch) {
  const auto since = batch.waiting_since();
  batch.lose(up_ ? "the broker gave no answer by the deadline" : "there was no connection by the deadline");
  if (up_ && since && last_answer_ < *since) close("it did not acknowledge in time");
}

void Link::disconnect() {
  ERR_clear_error();
  if (up_) mosquitto_disconnect_v5(client_.get(), MQTT_RC_NORMAL_DISCONNECTION, nullptr);
  close("sealcastd stops");
}

// May be called from within libmosquitto: its own socket is shut down here and closed with the client.
void Link::close(const std::string& why) {
  if (closed_) return;
  closed_ = true;
  up_ = false;
  fault_ = why;
  if (socket_.is_open()) {
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  resolver_.cancel();
  limit_.cancel();
  beat_.cancel();
  ended_.cancel();
  for (const auto& [id, flight] : in_flight_) flight.batch->lose("the broker is away: " + fault_);
  for (const auto& batch : sending_) batch->lose("the broker is away: " + fault_);
  in_flight_.clear();
  sending_.clear();
}

void Link::on_publish(mosquitto*, void* self, int id, int reason_code, const mosquitto_property*) {
  Link& link = *static_cast<Link*>(self);
  link.last_answer_ = Clock::now();
  const auto found = link.in_flight_.find(id);
  if (found == link.in_flight_.end()) return;
  const Flight flight = std::move(found->second);
  link.in_flight_.erase(found);
  flight.batch->answer(flight.place, reason_code);
}

// The numbers below are libmosquitto's own, and its calls return them too.
void Link::on_disconnect(mosquitto*, void* self, int reason_code, const mosquitto_property*) {
  Link& link = *static_cast<Link*>(self);
  if (reason_code < MQTT_RC_UNSPECIFIED || !link.last_words_.empty()) return;
  link.last_words_ = std::string("it ended the connection: ") + mosquitto_reason_string(reason_code);
}

}  // namespace sealcast::transport::mqtt
