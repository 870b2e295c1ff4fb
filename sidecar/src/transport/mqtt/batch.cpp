// Gathers the answers to a batch's frames into one outcome.
#include "transport/mqtt/batch.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace sealcast::transport::mqtt {

outside::Outcome::Kind meaning_of(int reason_code) {
  if (reason_code < 0x80) return outside::Outcome::Kind::done;  // success, or success without a subscriber
  switch (reason_code) {
    case MQTT_RC_NOT_AUTHORIZED:
    case MQTT_RC_TOPIC_NAME_INVALID:
    case MQTT_RC_PACKET_TOO_LARGE:
    case MQTT_RC_PAYLOAD_FORMAT_INVALID:
      return outside::Outcome::Kind::dead;
    default:  // quota exceeded, and what the broker does not specify
      return outside::Outcome::Kind::retry_stream;
  }
}

Batch::Batch(const asio::any_io_executor& executor, std::span<const FramePtr> frames, Clock::time_point deadline)
    : frames_(frames), acknowledged_(frames.size()), over_(frames.empty()), timer_(executor, deadline) {}

asio::awaitable<void> Batch::wait() {
  if (over_) co_return;
  boost::system::error_code ended_early;
  co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ended_early));
}

outside::Outcome Batch::outcome() const {
  outside::Outcome outcome;
  outcome.delivered = delivered();
  if (outcome.delivered == frames_.size()) return outcome;
  // A failure further on counts when the frames before it have come through.
  const bool failed = failure_ && failure_->place == outcome.delivered;
  outcome.kind = failed ? failure_->kind : outside::Outcome::Kind::retry_transport;
  outcome.reason = failed ? failure_->reason : lost_;
  return outcome;
}

std::size_t Batch::delivered() const {
  return static_cast<std::size_t>(std::ranges::find(acknowledged_, false) - acknowledged_.begin());
}

std::size_t Batch::take() {
  if (taken_ == 0) first_taken_ = Clock::now();
  ++unanswered_;
  return taken_++;
}

void Batch::answer(std::size_t place, int reason_code) {
  if (over_) return;
  --unanswered_;
  const outside::Outcome::Kind kind = meaning_of(reason_code);
  if (kind == outside::Outcome::Kind::done) {
    acknowledged_[place] = true;
  } else {
    fail(place, kind, std::string("the broker refused it: ") + mosquitto_reason_string(reason_code));
  }
  end_if_answered();
}

void Batch::refuse_next(std::string reason) {
  fail(taken_, outside::Outcome::Kind::dead, std::move(reason));
  end_if_answered();
}

void Batch::lose(std::string reason) {
  if (over_) return;
  lost_ = std::move(reason);
  end();
}

std::optional<Clock::time_point> Batch::waiting_since() const {
  return unanswered_ == 0 ? std::nullopt : std::optional(first_taken_);
}

void Batch::fail(std::size_t place, outside::Outcome::Kind kind, std::string reason) {
  if (!failure_ || place < failure_->place) failure_ = Failure{place, kind, std::move(reason)};
}

void Batch::end_if_answered() {
  if (unanswered_ == 0 && (failure_ || taken_ == frames_.size())) end();
}

void Batch::end() {
  over_ = true;
  timer_.cancel();
}

}  // namespace sealcast::transport::mqtt
