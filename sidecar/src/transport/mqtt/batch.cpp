// Combines the broker's answers to the frames of one publish() into one outcome.
#include "transport/mqtt/batch.h"

#include <algorithm>
#include <utility>

#include "transport/mqtt/protocol.h"

namespace sealcast::transport::mqtt {

outside::Outcome::Kind outcome_kind(int reason_code) {
  if (reason_code < reason::kFirstFailure)
    return outside::Outcome::Kind::done;  // a topic without subscribers is a success too
  switch (reason_code) {
    case reason::kTopicNameInvalid:
    case reason::kPacketTooLarge:
    case reason::kPayloadFormatInvalid:
      return outside::Outcome::Kind::dead;
    default:  // the broker may take the frame later: after a change of its rules or quotas, or of its load
      return outside::Outcome::Kind::retry_stream;
  }
}

Batch::Batch(const asio::any_io_executor& executor, std::span<const FramePtr> frames, Clock::time_point deadline)
    : frames_(frames), acknowledged_(frames.size()), deadline_(deadline), ended_(executor) {
  if (frames.empty()) ended_.set();
}

asio::awaitable<void> Batch::wait() { co_await ended_.wait_until(deadline_); }

outside::Outcome Batch::outcome() const {
  outside::Outcome outcome;
  outcome.delivered = delivered();
  if (outcome.delivered == frames_.size()) return outcome;
  // A failure of one frame decides the outcome only when all frames before it are delivered.
  const bool failed = failure_ && failure_->index == outcome.delivered;
  outcome.kind = failed ? failure_->kind : outside::Outcome::Kind::retry_transport;
  outcome.reason = failed ? failure_->reason : loss_;
  return outcome;
}

std::size_t Batch::delivered() const {
  return static_cast<std::size_t>(std::ranges::find(acknowledged_, false) - acknowledged_.begin());
}

std::size_t Batch::mark_sent() {
  if (sent_ == 0) first_sent_ = Clock::now();
  ++unanswered_;
  return sent_++;
}

void Batch::handle_answer(std::size_t index, int reason_code) {
  if (ended()) return;
  --unanswered_;
  const outside::Outcome::Kind kind = outcome_kind(reason_code);
  if (kind == outside::Outcome::Kind::done) {
    acknowledged_[index] = true;
  } else {
    set_failure(index, kind, "the broker refused the frame: " + reason_text(reason_code));
  }
  end_if_answered();
}

void Batch::reject_next(std::string reason) {
  set_failure(sent_, outside::Outcome::Kind::dead, std::move(reason));
  end_if_answered();
}

void Batch::fail(std::string reason) {
  if (ended()) return;
  loss_ = std::move(reason);
  ended_.set();
}

std::optional<Clock::time_point> Batch::waiting_since() const {
  if (sent_ == 0) return made_;
  return unanswered_ == 0 ? std::nullopt : std::optional(first_sent_);
}

void Batch::set_failure(std::size_t index, outside::Outcome::Kind kind, std::string reason) {
  if (!failure_ || index < failure_->index) failure_ = Failure{index, kind, std::move(reason)};
}

void Batch::end_if_answered() {
  if (unanswered_ == 0 && (failure_ || sent_ == frames_.size())) ended_.set();
}

}  // namespace sealcast::transport::mqtt
