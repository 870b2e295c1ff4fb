// How many messages a second each stream has, over the last few seconds.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "transport/frame.h"

namespace sealcast::leader::sampling {

class Velocity {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kWindow{3};

  void count(std::span<const transport::FramePtr> frames, Clock::time_point now);

  // Messages a second, by stream; streams without any in the window are not there.
  const std::unordered_map<std::string, double>& measure(Clock::time_point now);

 private:
  struct Seconds {
    std::array<std::uint32_t, kWindow.count()> counts{};  // of the whole seconds before
    std::uint32_t current = 0;
  };
  void turn(std::int64_t second);

  std::int64_t second_ = 0;
  std::unordered_map<std::string, Seconds> streams_;
  std::unordered_map<std::string, double> measured_;
};

}  // namespace sealcast::leader::sampling
