// The adapter: connects to the broker, and connects again for ever.
#include "transport/mqtt/mqtt.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/service_url.h"
#include "core/token/secret_file.h"
#include "transport/mqtt/batch.h"
#include "transport/mqtt/link.h"
#include "transport/mqtt/options.h"

namespace sealcast::transport::mqtt {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxBatch = 256;
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{10'000};
constexpr milliseconds kSteady{1000};  // a connection that lasted this long was a good one

// Full jitter: sidecars that lost one broker at one moment come back spread over the whole pause.
milliseconds jittered(milliseconds ceiling) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<milliseconds::rep>(0, ceiling.count())(random));
}

Options options_of(const config::Settings::Mqtt& settings) {
  constexpr std::uint16_t kPort = 1883;
  constexpr std::uint16_t kTlsPort = 8883;
  const ServiceUrl url = parse_service_url(settings.url, "mqtt");
  Options options;
  options.host = url.host;
  options.port = url.port != 0 ? url.port : url.tls ? kTlsPort : kPort;
  options.user = url.user;
  if (!settings.password_file.empty()) {
    options.password = core::token::read_secret_file("mqtt.password_file", settings.password_file);
  }
  options.client_id = settings.client_id;
  options.topic = settings.topic;
  if (url.tls) options.tls = std::make_shared<Tls>(url.host, settings.ca_file);
  return options;
}

// Outlives the adapter for as long as a coroutine of it does.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(asio::any_io_executor executor, Options options)
      : executor_(std::move(executor)), options_(std::move(options)), pause_(executor_) {
    renew_link();
  }

  void start() {
    asio::co_spawn(
        executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
  }

  void stop() {
    stopped_ = true;
    link_->disconnect();
    pause_.cancel();
  }

  static asio::awaitable<outside::Outcome> publish(std::shared_ptr<Client> self, std::span<const FramePtr> frames,
                                                   Clock::time_point deadline) {
    const std::shared_ptr<Link> link = self->link_;
    const auto batch = std::make_shared<Batch>(self->executor_, frames, deadline);
    link->send(batch);
    co_await batch->wait();
    if (!batch->over()) link->give_up(*batch);
    co_return batch->outcome();
  }

 private:
  void renew_link() { link_ = std::make_shared<Link>(executor_, options_, attempts_++); }

  asio::awaitable<void> run() {
    milliseconds ceiling = kFirstPause;
    while (!stopped_) {
      const auto began = Clock::now();
      co_await link_->run([this] { log_up(); });
      if (stopped_) co_return;
      log_down(link_->fault());
      const bool steady = link_->was_up() && Clock::now() - began >= kSteady;
      ceiling = steady ? kFirstPause : std::min(2 * ceiling, kLongestPause);
      // Meanwhile the closed link tells everybody why it was closed.
      pause_.expires_after(jittered(ceiling));
      boost::system::error_code ignored;
      co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (!stopped_) renew_link();
    }
  }

  void log_down(const std::string& reason) {
    if (reason == last_reason_) return;  // said once, not with every attempt
    last_reason_ = reason;
    log::write(log::Level::error, log::tag::kDelivery, "the MQTT broker is away; connecting again until it is back",
               {{"host", options_.host}, {"port", std::int64_t{options_.port}}, {"reason", reason}});
  }

  void log_up() {
    last_reason_.clear();
    log::write(log::Level::info, log::tag::kDelivery, "connected to the MQTT broker",
               {{"host", options_.host}, {"port", std::int64_t{options_.port}}});
  }

  asio::any_io_executor executor_;
  const Options options_;
  asio::steady_timer pause_;  // between two attempts to connect
  std::shared_ptr<Link> link_;
  std::size_t attempts_ = 0;
  bool stopped_ = false;
  std::string last_reason_;  // of being away
};

class Mqtt final : public outside::Adapter {
 public:
  Mqtt(asio::any_io_executor executor, Options options)
      : client_(std::make_shared<Client>(std::move(executor), std::move(options))) {}
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
  return std::make_unique<mqtt::Mqtt>(std::move(executor), mqtt::options_of(settings.mqtt));
}

}  // namespace sealcast::transport::mqtt
