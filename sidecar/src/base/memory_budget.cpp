// Keeps the shares of each class in a list, and sheds the largest ones when their sum exceeds the limit.
#include "base/memory_budget.h"

#include <algorithm>
#include <bit>
#include <boost/asio/post.hpp>
#include <tuple>
#include <utility>

namespace sealcast {

MemoryBudget::MemoryBudget(asio::any_io_executor executor, Metrics& metrics, std::size_t max_bytes)
    : executor_(std::move(executor)),
      max_bytes_(max_bytes),
      threshold_(max_bytes),
      classes_{Class(metrics.memory("requests")), Class(metrics.memory("answers")), Class(metrics.memory("catch_up")),
               Class(metrics.memory("rings"))} {}

void MemoryBudget::schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(executor_, [this] {
    shed();
    threshold_ = exceeded() ? held_ + max_bytes_ / 16 : max_bytes_;
    scheduled_ = false;
  });
}

// The first class frees an eighth more than it must, so that the shares are not sorted for each piece of memory that
// follows. If it cannot free enough, the next one pays only for the limit itself.
void MemoryBudget::shed() {
  if (!exceeded()) return;
  const std::size_t goal = max_bytes_ - max_bytes_ / 8;
  for (Class& each : classes_) each.tried = false;
  while (exceeded()) {
    const auto largest = std::ranges::max_element(classes_, {}, [](const Class& c) { return c.tried ? 0 : c.held; });
    if (largest->tried || largest->held == 0) return;
    largest->tried = true;
    shed(*largest, goal);
  }
}

void MemoryBudget::shed(Class& from, std::size_t goal) {
  candidates_ = from.shares;
  std::ranges::sort(candidates_, {}, [](const Share* share) {
    return std::tuple(-static_cast<int>(std::bit_width(share->bytes_)), share->age_);
  });
  for (std::size_t i = 0; i < candidates_.size(); ++i) candidates_[i]->candidate_ = i;
  for (std::size_t i = 0; i < candidates_.size() && held_ > goal; ++i) {
    if (!candidates_[i]) continue;
    const std::size_t before = held_;
    candidates_[i]->shed_();
    if (held_ < before) from.metrics.shed.Increment();
  }
  for (Share* share : candidates_) {
    if (share) share->candidate_ = Share::kNone;
  }
  candidates_.clear();
}

MemoryBudget::Share::Share(MemoryBudget& budget, MemoryClass of, std::function<void()> shed)
    : budget_(budget), class_(budget.classes_[static_cast<std::size_t>(of)]), shed_(std::move(shed)) {}

void MemoryBudget::Share::set(std::size_t bytes) {
  if (bytes == bytes_) return;
  if (bytes_ == 0) enter();
  budget_.held_ += bytes - bytes_;
  class_.held += bytes - bytes_;
  bytes_ = bytes;
  class_.metrics.held.Set(static_cast<double>(class_.held));
  if (bytes_ == 0) leave();
  if (!budget_.exceeded()) {
    budget_.threshold_ = budget_.max_bytes_;
  } else if (budget_.held_ > budget_.threshold_) {
    budget_.schedule();
  }
}

void MemoryBudget::Share::enter() {
  age_ = budget_.next_age_++;
  index_ = class_.shares.size();
  class_.shares.push_back(this);
}

void MemoryBudget::Share::leave() {
  class_.shares[index_] = class_.shares.back();
  class_.shares[index_]->index_ = index_;
  class_.shares.pop_back();
  if (candidate_ != kNone) budget_.candidates_[std::exchange(candidate_, kNone)] = nullptr;
}

}  // namespace sealcast
