// The calls of the webhook that are due: each is repeated, with growing pauses, until the webhook accepts it or it is
// no longer due.
//
// Answers are taken as Standard Webhooks 1.0.0 says. Retry-After extends the pause. After 429, 502, 503 and 504, no
// other call is made during the pause either. After 410 no call is made at all, until resume().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/asio.h"
#include "client/webhook/webhook.h"

namespace sealcast::leader::switching {

class WebhookCalls {
 public:
  struct Event {
    std::string id;    // of the call, the same for each repeat
    std::string type;  // warm_up or cool_down
    std::string stream_id;
    std::int32_t viewers;
    std::string time;  // when it happened, in ISO 8601
  };
  // Records that the webhook has accepted. Returns the problem; empty: it is recorded. Does not throw.
  using Record = std::function<asio::awaitable<std::string>()>;

  // `webhook` is null if none is configured.
  WebhookCalls(asio::any_io_executor executor, std::unique_ptr<client::webhook::Webhook> webhook)
      : executor_(std::move(executor)), webhook_(std::move(webhook)) {}

  // False if there is no webhook, or if it wants no more calls.
  bool wanted() const { return webhook_ && !gone_; }
  // Makes the call, unless it is in flight or a pause has not ended.
  void call(Event event, Record record);
  // Forgets the calls that are not among `due`, which are ids.
  void keep_only(const std::unordered_set<std::string>& due);
  // Ends the pauses, and calls again after 410.
  void resume();
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  // The state of one call, kept until its acceptance is recorded.
  struct Call {
    Clock::time_point since = Clock::now();
    bool in_flight = false;
    std::chrono::milliseconds pause{
        0};  // the pause that followed the last failure; it doubles with each failure; 0: none
    Clock::time_point next_try{};
  };

  asio::awaitable<void> make(Event event, Record record);
  void note_failure(const Event& event, const client::webhook::Webhook::Answer& answer);

  asio::any_io_executor executor_;
  std::unique_ptr<client::webhook::Webhook> webhook_;
  std::unordered_map<std::string, Call> calls_;  // by id
  Clock::time_point busy_until_{};               // the webhook asked all calls to wait
  bool gone_ = false;
};

}  // namespace sealcast::leader::switching
