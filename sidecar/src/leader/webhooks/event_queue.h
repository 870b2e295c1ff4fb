// Posts the events of moderation to the operator's webhook (docs/webhooks.md).
//
// Postgres keeps each event until its acceptance is recorded (sql/62_webhooks.sql). This class reads the oldest events
// of some streams, posts the events of a stream one after the other and those of the streams at the same time, and
// records the results. So nothing is lost with a sidecar, and the memory does not grow with the queue.
//
// Failures. An event that is refused, or not answered in time, holds back its stream alone, with growing pauses. A
// refused event becomes a dead letter after webhooks.max_attempts, an unanswered one after webhooks.give_up_ms. If the
// backend is unavailable, the whole queue pauses, and then tries one stream at a time, each time another one, until an
// event is accepted.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/backoff.h"
#include "base/event.h"
#include "base/metrics.h"
#include "client/webhook/endpoint.h"
#include "config/settings.h"
#include "leader/leader_loop.h"

namespace sealcast::leader::webhooks {

class EventQueue {
 public:
  using Clock = std::chrono::steady_clock;

  struct Parts {
    postgres::Dsn dsn;
    std::chrono::milliseconds timeout;  // of each statement
    Metrics& metrics;
    LeaderLoop::Leads leads;
    client::webhook::Endpoint& endpoint;
    const config::Settings::Webhooks& settings;
  };

  EventQueue(asio::any_io_executor executor, Parts parts);

  void start() { loop_.start(); }
  void resume() { paused_until_ = {}; }
  // Ends the calls in progress and records their results, until `deadline`.
  asio::awaitable<void> finish(Clock::time_point deadline);

 private:
  struct Queued {
    std::string id;
    std::int32_t attempts;
    std::chrono::milliseconds age;
    std::string body;
  };
  struct Failure {
    std::string id;
    std::string reason;
    std::int32_t attempts;
    std::int64_t pause_ms;  // -1: the event becomes a dead letter
  };
  // What one tick posts, and the results.
  struct Round {
    explicit Round(const asio::any_io_executor& executor) : ended(executor) {}

    std::vector<std::vector<Queued>> streams;
    std::size_t running = 0;
    std::vector<std::string> accepted;
    std::vector<Failure> failed;
    bool unavailable = false;
    // Then the round begins no further call, since it ends with its slowest stream.
    const std::chrono::steady_clock::time_point begin_until =
        std::chrono::steady_clock::now() + std::chrono::seconds(2);
    std::chrono::milliseconds retry_after{0};  // that the unavailable backend demands
    Event ended;
  };

  asio::awaitable<LeaderLoop::Milliseconds> tick(const LedShards& led);
  asio::awaitable<void> subscribe();
  asio::awaitable<void> read_due(const LedShards& led, Round& round);
  asio::awaitable<void> post(std::shared_ptr<Round> round);
  asio::awaitable<void> post_stream(std::shared_ptr<Round> round, std::size_t stream);
  void note_failure(Round& round, const Queued& event, const client::webhook::Webhook::Answer& answer);
  asio::awaitable<void> record(const Round& round);

  const asio::any_io_executor executor_;
  client::webhook::Endpoint& endpoint_;
  const config::Settings::Webhooks& settings_;
  Metrics::Delivery metrics_;
  Backoff backoff_;
  bool trying_ = false;  // the backend was unavailable in the last round
  Clock::time_point paused_until_{};
  Clock::time_point subscribe_at_{};
  std::string after_stream_;  // the last one that was read; empty: begin with the first
  std::vector<std::string> unknown_events_;
  bool finishing_ = false;
  Event idle_;
  LeaderLoop loop_;
};

}  // namespace sealcast::leader::webhooks
