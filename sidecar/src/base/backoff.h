// Growing pauses between attempts. Jitter keeps sidecars that lost the same server from reconnecting at the same
// moment.
#pragma once

#include <chrono>

namespace sealcast {

// A random duration between `low` and `high`, both included.
std::chrono::milliseconds random_between(std::chrono::milliseconds low, std::chrono::milliseconds high);

class Backoff {
 public:
  // The ceiling of the pauses doubles from `first` up to `most`.
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds most)
      : first_(first), most_(most), ceiling_(first) {}

  // Full jitter: between `least` and `least` + the ceiling. The ceiling then doubles.
  std::chrono::milliseconds next(std::chrono::milliseconds least = std::chrono::milliseconds(0));
  void reset() { ceiling_ = first_; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds most_;
  std::chrono::milliseconds ceiling_;
};

}  // namespace sealcast
