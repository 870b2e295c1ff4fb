// The frames of one Adapter::publish(), and the broker's answer to each frame.
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
  // `frames` must stay valid until the batch has ended.
  Batch(const asio::any_io_executor& executor, std::span<const FramePtr> frames, Clock::time_point deadline);

  asio::awaitable<void> wait();  // returns when the batch has ended, or at its deadline
  bool ended() const { return ended_.is_set(); }
  outside::Outcome outcome() const;

  // Frames are sent in order. After a frame has failed, no further frame is sent: further frames would reach readers
  // before the retry of the failed frame.
  bool has_next() const { return !ended() && !failure_ && sent_ < frames_.size(); }
  const Frame& next() const { return *frames_[sent_]; }
  std::size_t mark_sent();  // next() was sent; returns the frame's index for handle_answer()
  void handle_answer(std::size_t index, int reason_code);
  void reject_next(std::string reason);  // next() can never be sent, so its outcome is Kind::dead
  void fail(std::string reason);         // ends the batch: unanswered frames will get no answer

  // Returns when the first frame of the batch was sent, even if that frame is answered. Returns when the batch was made
  // if no frame was sent: then it waits for answers to the frames of other batches. Returns nullopt when the batch
  // waits for no answer.
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
  std::size_t unanswered_ = 0;      // number of sent frames without an answer
  std::optional<Failure> failure_;  // the failure of the frame with the lowest index
  std::string loss_;                // the reason that was given to fail()
  const Clock::time_point made_ = Clock::now();
  Clock::time_point first_sent_{};
  const Clock::time_point deadline_;
  Event ended_;
};

// Returns the outcome for a frame whose PUBACK has this `reason_code` (MQTT 5.0, 3.4.2.1 and 4.13).
outside::Outcome::Kind outcome_kind(int reason_code);

}  // namespace sealcast::transport::mqtt
