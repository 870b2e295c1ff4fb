// The frames of one publish(), and what the broker has said of each.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::mqtt {

using Clock = outside::Adapter::Clock;

class Batch {
 public:
  Batch(const asio::any_io_executor& executor, std::span<const FramePtr> frames, Clock::time_point deadline);

  asio::awaitable<void> wait();  // until it is over, or its deadline
  bool over() const { return over_; }
  outside::Outcome outcome() const;

  // Frames are taken in order; none after one that failed, so that little overtakes what is sent again.
  bool has_next() const { return !over_ && !failure_ && taken_ < frames_.size(); }
  const Frame& next() const { return *frames_[taken_]; }
  std::size_t take();  // the place by which the frame is answered
  void answer(std::size_t place, int reason_code);
  void refuse_next(std::string reason);  // it can never be sent
  void lose(std::string reason);         // what has no answer will get none

  // Since when a frame of it has been waiting for an answer.
  std::optional<Clock::time_point> waiting_since() const;

 private:
  std::size_t delivered() const;
  void fail(std::size_t place, outside::Outcome::Kind kind, std::string reason);
  void end();
  void end_if_answered();

  struct Failure {
    std::size_t place;
    outside::Outcome::Kind kind;
    std::string reason;
  };

  std::span<const FramePtr> frames_;
  std::vector<bool> acknowledged_;
  std::size_t taken_ = 0;
  std::size_t unanswered_ = 0;  // of those taken
  std::optional<Failure> failure_;
  std::string lost_;
  Clock::time_point first_taken_{};
  bool over_ = false;
  asio::steady_timer timer_;
};

// What an answer to a PUBLISH means for its frame (MQTT 5.0, 3.4.2.1 and 4.13).
outside::Outcome::Kind meaning_of(int reason_code);

}  // namespace sealcast::transport::mqtt
