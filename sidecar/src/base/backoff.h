// Growing pauses between attempts. The pauses are random, so that sidecars that lost the same server do not all
// reconnect at the same moment.
#pragma once

#include <chrono>

namespace sealcast {

// Returns a random duration from `low` to `high`, both included.
std::chrono::milliseconds random_between(std::chrono::milliseconds low, std::chrono::milliseconds high);

class Backoff {
 public:
  // The ceiling is the maximum of the next random pause. It begins at `first`, and doubles with each pause up to
  // `most`.
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds most)
      : first_(first), most_(most), ceiling_(first) {}

  // Returns a random pause from `least` to `least` + ceiling ("full jitter"), and doubles the ceiling.
  std::chrono::milliseconds next(std::chrono::milliseconds least = std::chrono::milliseconds(0));
  void reset() { ceiling_ = first_; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds most_;
  std::chrono::milliseconds ceiling_;
};

}  // namespace sealcast
