// One connection to the broker. libmosquitto speaks MQTT, and Asio waits for the socket. After the connection is lost,
// the adapter makes a new object.
//
// No function blocks the event loop. Asio resolves the host name, so libmosquitto gets an IP address and needs no name
// lookup. When a name lookup hangs, the next attempt to connect starts later, but no publish() is delayed.
//
// When the connection is lost, all batches end, and their unanswered frames fail with the reason of the loss. A batch
// that is published later fails immediately.
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
  // `attempt` is the number of earlier connections. It selects the address of the host that is tried first. So each
  // attempt begins with another address, and an unreachable address does not use up the time of every attempt.
  BrokerConnection(const asio::any_io_executor& executor, const Options& options, std::size_t attempt);

  // Connects, and calls `on_up` when the broker has accepted the connection. Returns when either side has closed the
  // connection, or when the broker has not accepted it within 5 s.
  asio::awaitable<void> run(std::function<void()> on_up);

  // Sends the frames of the batch after the broker has accepted the connection. The broker limits how many frames are
  // sent before it answers. The batch fails immediately when the connection is closed.
  void publish(std::shared_ptr<Batch> batch);
  // Ends a batch whose deadline has passed. Also closes the connection when the broker seems dead.
  void expire(Batch& batch);

  void disconnect();                      // sends DISCONNECT when connected, then closes
  void close(const std::string& reason);  // a second call does nothing

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

  // libmosquitto calls these callbacks while one of the functions above calls libmosquitto.
  static void on_connect(mosquitto*, void* self, int reason_code, int flags, const mosquitto_property* properties);
  static void on_publish(mosquitto*, void* self, int id, int reason_code, const mosquitto_property* properties);
  static void on_disconnect(mosquitto*, void* self, int reason_code, const mosquitto_property* properties);

  asio::any_io_executor executor_;
  const Options options_;
  const std::size_t attempt_;
  const ClientPtr client_;
  asio::ip::tcp::resolver resolver_;
  asio::posix::stream_descriptor socket_;  // a duplicate of libmosquitto's socket
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
  std::string broker_reason_;  // the reason that the broker gave when it refused or ended the connection
};

}  // namespace sealcast::transport::mqtt
