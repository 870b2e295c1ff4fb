// Writes the calls, and maps the answers to outcomes.
#include "transport/webhooks/message_sent.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "base/json.h"

namespace sealcast::transport::webhooks {
namespace {

using Kind = outside::Outcome::Kind;

constexpr std::string_view kSystem = "00000000-0000-0000-0000-000000000000";

std::string iso_time(std::int64_t unix_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000)),
                     unix_ms % 1000);
}

class MessageSent : public outside::Adapter {
 public:
  explicit MessageSent(client::webhook::Endpoint& endpoint) : endpoint_(endpoint) {}

  std::size_t max_batch() const override { return 1; }  // a call of Standard Webhooks has one event
  void start() override {}
  void stop() override { endpoint_.stop(); }

  // The endpoint has a timeout of its own for each call.
  asio::awaitable<outside::Outcome> publish(std::span<const FramePtr> frames, Clock::time_point) override {
    outside::Outcome outcome;
    Call call = call_for(*frames.front());
    if (call.id.empty()) co_return outcome;
    client::webhook::Webhook::Answer answer = co_await endpoint_.call(std::move(call.id), std::move(call.body));
    if (answer.problem.empty()) co_return outcome;
    outcome.kind = answer.gone || answer.unavailable() ? Kind::retry_transport : Kind::retry_stream;
    outcome.after = answer.retry_after;
    outcome.reason = std::move(answer.problem);
    co_return outcome;
  }

 private:
  client::webhook::Endpoint& endpoint_;
};

}  // namespace

Call call_for(const Frame& frame) {
  Call call;
  if (is_gone(frame.text) || envelope_sender(frame.text) == kSystem) return call;
  // The offset alone can name another message after a restore of the database, and senders choose txn_ids.
  call.id = fmt::format("{}:{}:{}", frame.stream_id, frame.offset, envelope_txn(frame.text));
  JsonObject(call.body)
      .text("type", kMessageSent)
      .text("timestamp", iso_time(envelope_ts(frame.text).value_or(0)))
      .json("data", frame.text)
      .end();
  return call;
}

std::unique_ptr<outside::Adapter> make_message_sent(client::webhook::Endpoint& endpoint) {
  return std::make_unique<MessageSent>(endpoint);
}

}  // namespace sealcast::transport::webhooks
