// One connection to the broker, used once: libmosquitto speaks MQTT, Asio waits on its socket. Nothing blocks: Asio
// looks the host up and libmosquitto gets an address. A look-up that hangs delays the next attempt, and no delivery.
#pragma once

#include <mosquitto.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/asio.h"
#include "transport/mqtt/batch.h"
#include "transport/mqtt/options.h"

namespace sealcast::transport::mqtt {

class Link : public std::enable_shared_from_this<Link> {
 public:
  // `attempt` decides which of the host's addresses comes first, so that a dead one does not hide the others.
  Link(const asio::any_io_executor& executor, const Options& options, std::size_t attempt);

  // Connects and serves until the connection is closed, by whichever side. Calls `on_up` when the broker has accepted.
  asio::awaitable<void> run(std::function<void()> on_up);
  void send(std::shared_ptr<Batch> batch);  // when the broker has accepted, and has room
  void give_up(Batch& batch);               // its deadline has passed
  void disconnect();                        // with a word to the broker
  void close(const std::string& why);       // the first reason stays

  bool was_up() const { return was_up_; }
  const std::string& fault() const { return fault_; }

 private:
  struct Flight {
    std::shared_ptr<Batch> batch;
    std::size_t place;
  };

  asio::awaitable<void> connect();
  asio::awaitable<void> reach(const asio::ip::tcp::endpoint& address);
  asio::awaitable<void> shake_hands();
  void watch();
  void read();
  void write();
  void beat();
  void after_call(int result);
  void pump();
  void send_next(const std::shared_ptr<Batch>& batch);
  SSL* tls() const;  // null: plain TCP

  // libmosquitto calls these from within the calls above.
  static void on_connect(mosquitto*, void* self, int reason_code, int flags, const mosquitto_property* properties);
  static void on_publish(mosquitto*, void* self, int id, int reason_code, const mosquitto_property* properties);
  static void on_disconnect(mosquitto*, void* self, int reason_code, const mosquitto_property* properties);

  asio::any_io_executor executor_;
  const Options options_;
  const std::size_t attempt_;
  const std::unique_ptr<mosquitto, void (*)(mosquitto*)> client_;
  asio::ip::tcp::resolver resolver_;
  asio::posix::stream_descriptor socket_;  // a duplicate: libmosquitto closes its own when it likes
  bool reading_ = false;
  bool writing_ = false;
  asio::steady_timer limit_;  // of connecting
  asio::steady_timer beat_;
  asio::steady_timer ended_;  // never expires: closing cancels it
  std::function<void()> on_up_;
  bool up_ = false;
  bool was_up_ = false;
  bool closed_ = false;
  std::string fault_;
  std::string last_words_;  // of the broker

  std::size_t window_ = 0;                      // PUBLISHes that may wait for their answer
  std::uint32_t max_packet_ = 0;                // bytes
  std::deque<std::shared_ptr<Batch>> sending_;  // those with frames to send
  std::unordered_map<int, Flight> in_flight_;   // by packet identifier
  Clock::time_point last_answer_{};
};

}  // namespace sealcast::transport::mqtt
