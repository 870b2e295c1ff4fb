// Computes random pauses between attempts.
#include "base/backoff.h"

#include <algorithm>
#include <random>

namespace sealcast {

using std::chrono::milliseconds;

milliseconds random_between(milliseconds low, milliseconds high) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<milliseconds::rep>(low.count(), high.count())(random));
}

milliseconds Backoff::next(milliseconds least) {
  const milliseconds pause = least + random_between(milliseconds(0), ceiling_);
  ceiling_ = std::min(ceiling_ * 2, most_);
  return pause;
}

}  // namespace sealcast
