// The frames of one publish(), and the broker's answer to each.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::mqtt {

using Clock = outside::Adapter::Clock;

class Batch {
 public:
  Batch(const asio::any_io_executor& executor, std::span<const FramePtr> frames, Clock::time_point deadline);

  asio::awaitable<void> wait();  // until the batch has ended, or until its deadline
  bool ended() const { return ended_.is_set(); }
  outside::Outcome outcome() const;

  // Frames are sent in order. After a failed frame no more are sent, so that few frames overtake those that are
  // retried.
  bool has_next() const { return !ended() && !failure_ && sent_ < frames_.size(); }
  const Frame& next() const { return *frames_[sent_]; }
  std::size_t mark_sent();  // returns the index of the frame, for handle_answer()
  void handle_answer(std::size_t index, int reason_code);
  void reject_next(std::string reason);  // the next frame can never be sent
  void fail(std::string reason);         // unanswered frames will get no answer

  // When the first frame was sent. Empty when no frame waits for an answer.
  std::optional<Clock::time_point> waiting_since() const;

 private:
  std::size_t delivered() const;
  void set_failure(std::size_t index, outside::Outcome::Kind kind, std::string reason);
  void end_if_answered();

  struct Failure {
    std::size_t index;
    outside::Outcome::Kind kind;
    std::string reason;
  };

  std::span<const FramePtr> frames_;
  std::vector<bool> acknowledged_;
  std::size_t sent_ = 0;
  std::size_t unanswered_ = 0;      // of the sent frames
  std::optional<Failure> failure_;  // of the first frame that failed
  std::string loss_;                // the reason of fail()
  Clock::time_point first_sent_{};
  const Clock::time_point deadline_;
  Event ended_;
};

// The outcome for a frame whose PUBLISH was answered with `reason_code` (MQTT 5.0, 3.4.2.1 and 4.13).
outside::Outcome::Kind outcome_kind(int reason_code);

}  // namespace sealcast::transport::mqtt
