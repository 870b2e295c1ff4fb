// Spawns the calls, and keeps their pauses.
#include "leader/switching/webhook_calls.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/backoff.h"
#include "base/json.h"
#include "base/log.h"

namespace sealcast::leader::switching {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{1000};
constexpr milliseconds kLongestPause{30'000};

}  // namespace

void WebhookCalls::stop() {
  if (webhook_) webhook_->stop();
}

void WebhookCalls::call(Event event, Record record) {
  if (!wanted()) return;
  Call& call = calls_[event.id];
  // A call that was never made waits for the other calls half a minute at most: a stream cools for one minute.
  const bool tried = call.pause > milliseconds(0);
  const Clock::time_point busy_until = tried ? busy_until_ : std::min(busy_until_, call.since + kLongestPause);
  if (call.in_flight || Clock::now() < std::max(call.next_try, busy_until)) return;
  call.in_flight = true;
  asio::co_spawn(executor_, make(std::move(event), std::move(record)), asio::detached);
}

asio::awaitable<void> WebhookCalls::make(Event event, Record record) {
  std::string data;
  JsonObject(data).text("stream_id", event.stream_id).number("viewers", std::int64_t{event.viewers}).end();
  std::string body;
  JsonObject(body).text("type", "stream." + event.type).text("timestamp", event.time).json("data", data).end();
  client::webhook::Webhook::Answer answer = co_await webhook_->call(event.id, body);
  if (answer.problem.empty()) answer.problem = co_await record();
  if (answer.problem.empty()) {
    log::write(log::Level::info, log::tag::kSwitching, "the webhook accepted",
               {{"stream_id", event.stream_id}, {"event", event.type}});
    calls_.erase(event.id);
    co_return;
  }
  note_failure(event, answer);
}

void WebhookCalls::note_failure(const Event& event, const client::webhook::Webhook::Answer& answer) {
  Call& call = calls_[event.id];
  call.in_flight = false;
  call.pause = std::clamp(2 * call.pause, kFirstPause, kLongestPause);
  const milliseconds pause = std::max(random_between(call.pause, call.pause * 5 / 4), answer.retry_after);
  call.next_try = Clock::now() + pause;
  if (answer.busy) busy_until_ = std::max(busy_until_, call.next_try);
  if (answer.gone) {
    if (!std::exchange(gone_, true)) {
      log::write(log::Level::error, log::tag::kSwitching,
                 "the webhook answered 410: it is not called any more until SIGHUP or a restart",
                 {{"stream_id", event.stream_id}, {"event", event.type}});
    }
    return;
  }
  log::write(log::Level::warn, log::tag::kSwitching, "the webhook did not accept; retrying",
             {{"stream_id", event.stream_id},
              {"event", event.type},
              {"reason", answer.problem},
              {"retry_after_ms", std::int64_t{pause.count()}}});
}

void WebhookCalls::resume() {
  gone_ = false;
  busy_until_ = {};
  for (auto& [id, call] : calls_) call.next_try = {};
}

void WebhookCalls::keep_only(const std::unordered_set<std::string>& due) {
  std::erase_if(calls_, [&](const auto& call) { return !call.second.in_flight && !due.contains(call.first); });
}

}  // namespace sealcast::leader::switching
