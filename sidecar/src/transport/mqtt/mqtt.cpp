// The MQTT adapter: publishes over one connection to the broker, and reconnects after each loss of the connection.
#include "transport/mqtt/mqtt.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <string>
#include <utility>

#include "base/backoff.h"
#include "base/event.h"
#include "base/log.h"
#include "base/service_url.h"
#include "base/tls.h"
#include "transport/mqtt/batch.h"
#include "transport/mqtt/broker_connection.h"
#include "transport/mqtt/options.h"

namespace sealcast::transport::mqtt {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxBatch = 256;
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{10'000};
// When a connection ends after at least this time, counted from the start of the attempt, the pauses between attempts
// begin again with kFirstPause.
constexpr milliseconds kStable{1000};

Options options_of(const config::Settings::Mqtt& settings) {
  constexpr std::uint16_t kPort = 1883;
  constexpr std::uint16_t kTlsPort = 8883;
  const ServiceUrl url = parse_service_url(settings.url, "mqtt");
  Options options;
  options.host = url.host;
  options.port = url.port != 0 ? url.port : url.tls ? kTlsPort : kPort;
  options.user = url.user;
  if (!settings.password_file.empty()) {
    options.password = Secret("mqtt.password_file", settings.password_file);
  }
  options.client_id = settings.client_id;
  options.topic = settings.topic;
  options.expiry = settings.expiry;
  return options;
}

// Returns null for plain TCP.
std::unique_ptr<TlsContexts> certificates_of(const config::Settings::Mqtt& settings) {
  if (!parse_service_url(settings.url, "mqtt").tls) return nullptr;
  return std::make_unique<TlsContexts>(TlsFiles{"mqtt.", settings.ca_file, settings.cert_file, settings.key_file});
}

// Each coroutine of this class keeps the object alive. So the object may exist longer than the adapter.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(asio::any_io_executor executor, Options options, std::unique_ptr<TlsContexts> certificates)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        certificates_(std::move(certificates)),
        stopped_(executor_) {
    renew_connection();
  }

  void start() {
    asio::co_spawn(
        executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
  }

  void stop() {
    stopped_.set();
    connection_->disconnect();
  }

  static asio::awaitable<outside::Outcome> publish(std::shared_ptr<Client> self, std::span<const FramePtr> frames,
                                                   Clock::time_point deadline) {
    const std::shared_ptr<BrokerConnection> connection = self->connection_;
    const auto batch = std::make_shared<Batch>(self->executor_, frames, deadline);
    connection->publish(batch);
    co_await batch->wait();
    if (!batch->ended()) connection->expire(*batch);
    co_return batch->outcome();
  }

 private:
  void renew_connection() {
    if (certificates_) options_.tls = certificates_->context();
    password_ = options_.password.text();
    connection_ = std::make_shared<BrokerConnection>(executor_, options_, attempts_++);
  }

  asio::awaitable<void> run() {
    Backoff backoff(kFirstPause, kLongestPause);
    while (!stopped_.is_set()) {
      const auto began = Clock::now();
      co_await connection_->run([this] { log_up(); });
      if (stopped_.is_set()) co_return;
      log_down(connection_->fault());
      if (connection_->refused_login()) options_.password.read_again(password_);
      if (connection_->was_up() && Clock::now() - began >= kStable) backoff.reset();
      // During the pause, connection_ is still the closed connection. It makes each publish() fail with the reason.
      if (!co_await stopped_.wait_for(backoff.next())) renew_connection();
    }
  }

  void log_down(const std::string& reason) {
    if (reason == last_reason_) return;
    last_reason_ = reason;
    log::write(log::Level::error, log::tag::kDelivery, "the MQTT broker is unavailable; retrying",
               {{"host", options_.host}, {"port", std::int64_t{options_.port}}, {"reason", reason}});
  }

  void log_up() {
    last_reason_.clear();
    log::write(log::Level::info, log::tag::kDelivery, "connected to the MQTT broker",
               {{"host", options_.host}, {"port", std::int64_t{options_.port}}});
  }

  asio::any_io_executor executor_;
  Options options_;
  const std::unique_ptr<TlsContexts> certificates_;  // null: plain TCP
  std::shared_ptr<BrokerConnection> connection_;
  std::string password_;  // that connection_ sends
  std::size_t attempts_ = 0;
  Event stopped_;
  std::string last_reason_;  // why the broker is unavailable; the same reason is logged only once in a row
};

class Mqtt final : public outside::Adapter {
 public:
  Mqtt(asio::any_io_executor executor, const config::Settings::Mqtt& settings)
      : client_(std::make_shared<Client>(std::move(executor), options_of(settings), certificates_of(settings))) {}
  ~Mqtt() override { client_->stop(); }

  std::size_t max_batch() const override { return kMaxBatch; }
  void start() override { client_->start(); }
  void stop() override { client_->stop(); }
  asio::awaitable<outside::Outcome> publish(std::span<const FramePtr> frames, Clock::time_point deadline) override {
    return Client::publish(client_, frames, deadline);
  }

 private:
  std::shared_ptr<Client> client_;
};

}  // namespace

std::unique_ptr<outside::Adapter> make_mqtt(asio::any_io_executor executor, const config::Settings& settings) {
  if (settings.mqtt.url.empty()) return nullptr;
  return std::make_unique<Mqtt>(std::move(executor), settings.mqtt);
}

}  // namespace sealcast::transport::mqtt
