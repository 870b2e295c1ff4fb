// One connection to the broker: it connects, reads and writes packets, and sends pings. After the connection is lost,
// the adapter makes a new object.
//
// All packets that are encoded in one turn of the event loop go out in one write, and one read takes all packets that
// have arrived.
//
// When the connection is lost, all batches end, and their unanswered frames fail with the reason of the loss. A batch
// that is published later fails immediately.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/asio.h"
#include "base/event.h"
#include "base/resolver.h"
#include "transport/mqtt/batch.h"
#include "transport/mqtt/options.h"
#include "transport/mqtt/packet_reader.h"
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
  const std::string& fault() const { return fault_; }    // why the connection was closed
  bool refused_login() const { return refused_login_; }  // the broker refused the user or the password

 private:
  asio::awaitable<void> connect();
  asio::awaitable<void> read_packets();
  asio::awaitable<std::size_t> read_some();
  asio::awaitable<void> keep_alive();
  void handle(const Connack& connack);
  void handle(const Puback& puback);
  void handle(const Pingresp&) {}
  void handle(const Disconnect& disconnect);
  void send_frames();
  void write_soon();
  void write();
  void on_written(const boost::system::error_code& error);

  asio::any_io_executor executor_;
  const Options options_;
  const std::size_t attempt_;
  Resolver resolver_;
  asio::ip::tcp::socket socket_;
  std::optional<asio::ssl::stream<asio::ip::tcp::socket&>> tls_;  // without a value: plain TCP
  asio::steady_timer connect_timer_;
  std::function<void()> on_up_;
  PacketReader reader_;
  std::string unsent_;     // packets of the next write
  std::string writing_;    // packets of the write in progress
  bool flushing_ = false;  // a write is posted or in progress
  PublishQueue queue_;
  Limits limits_;
  std::chrono::seconds keep_alive_;
  Clock::time_point last_sent_{}, last_received_{};
  bool up_ = false;
  Clock::time_point up_since_{};
  bool was_up_ = false;
  bool refused_login_ = false;
  Event closed_;
  std::string fault_;
};

}  // namespace sealcast::transport::mqtt
