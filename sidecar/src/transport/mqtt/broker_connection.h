// One connection to the broker, used once: libmosquitto speaks MQTT, Asio waits on the socket.
//
// No function blocks: Asio resolves the host, and libmosquitto gets an address. A name lookup that hangs delays the
// next attempt to connect, but no delivery.
//
// When the connection is lost, all unanswered frames fail with the reason. A frame that is published later fails at
// once.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/event.h"
#include "transport/mqtt/batch.h"
#include "transport/mqtt/connect.h"
#include "transport/mqtt/options.h"
#include "transport/mqtt/publish_queue.h"

namespace sealcast::transport::mqtt {

class BrokerConnection : public std::enable_shared_from_this<BrokerConnection> {
 public:
  // `attempt` selects which address of the host is tried first, so that a dead address does not hide the others.
  BrokerConnection(const asio::any_io_executor& executor, const Options& options, std::size_t attempt);

  // Connects, within 5 s, and returns when the connection is closed by either side. Calls `on_up` when the broker has
  // accepted the connection.
  asio::awaitable<void> run(std::function<void()> on_up);

  // Sends the frames once the broker has accepted the connection, and as fast as it answers.
  void publish(std::shared_ptr<Batch> batch);
  // Ends a batch whose deadline has passed.
  void expire(Batch& batch);

  void disconnect();                      // sends DISCONNECT, then closes
  void close(const std::string& reason);  // later reasons are ignored

  bool was_up() const { return was_up_; }
  const std::string& fault() const { return fault_; }  // why the connection was closed

 private:
  asio::awaitable<void> connect();
  asio::awaitable<void> keep_alive();
  void watch_socket();
  void read();
  void write();
  void after_call(int result);
  void send_frames();

  // libmosquitto calls these within the calls above.
  static void on_connect(mosquitto*, void* self, int reason_code, int flags, const mosquitto_property* properties);
  static void on_publish(mosquitto*, void* self, int id, int reason_code, const mosquitto_property* properties);
  static void on_disconnect(mosquitto*, void* self, int reason_code, const mosquitto_property* properties);

  asio::any_io_executor executor_;
  const Options options_;
  const std::size_t attempt_;
  const ClientPtr client_;
  asio::ip::tcp::resolver resolver_;
  asio::posix::stream_descriptor socket_;  // a duplicate of libmosquitto's
  bool reading_ = false;
  bool writing_ = false;
  asio::steady_timer connect_timer_;
  std::function<void()> on_up_;
  PublishQueue queue_;
  Limits limits_;
  bool up_ = false;
  bool was_up_ = false;
  Event closed_;
  std::string fault_;
  std::string broker_reason_;  // that the broker gave for refusing or ending the connection
};

}  // namespace sealcast::transport::mqtt
