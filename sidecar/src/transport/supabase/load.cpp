// Averages the events of the last minute in buckets, and reads the headers that describe the limit.
#include "transport/supabase/load.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string_view>

#include "base/log.h"

namespace sealcast::transport::supabase {
namespace {

constexpr std::chrono::minutes kWarnEvery{1};

std::optional<std::int64_t> number_in(const client::http::Answer& answer, std::string_view header) {
  const std::string_view text = answer.header(header);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void Load::add(std::int64_t readers, const client::http::Answer& answer, Clock::time_point now) {
  begin_buckets(now);
  in_progress_ += readers + 1;
  if (metrics_) metrics_->events.Increment(static_cast<double>(readers + 1));
  const auto limit = number_in(answer, "x-rate-limit");
  if (!limit) return;
  if (metrics_) metrics_->limit.Set(static_cast<double>(*limit));
  const double rate = events_per_second(now);
  if (rate < 0.8 * static_cast<double>(*limit) || now < next_warning_) return;
  next_warning_ = now + kWarnEvery;
  log::write(log::Level::warn, log::tag::kDelivery,
             "Supabase Realtime counts about as many events as the project may have; at the limit it refuses messages "
             "and closes the channels of readers",
             {{"events_per_second", rate}, {"limit", *limit}});
}

double Load::events_per_second(Clock::time_point now) {
  begin_buckets(now);
  const std::int64_t count = std::min(ended_, kBuckets);
  if (count == 0) return 0;
  const std::int64_t events = std::accumulate(buckets_.begin(), buckets_.end(), std::int64_t{0});
  return static_cast<double>(events) / static_cast<double>(count * kBucket.count());
}

void Load::begin_buckets(Clock::time_point now) {
  if (!bucket_end_) bucket_end_ = now + kBucket;
  while (now >= *bucket_end_) {
    buckets_[static_cast<std::size_t>(ended_ % kBuckets)] = in_progress_;
    in_progress_ = 0;
    ++ended_;
    *bucket_end_ += kBucket;
  }
}

std::string near_request_limit(const client::http::Answer& answer) {
  const auto limit = number_in(answer, "x-rate-limit");
  const auto remaining = number_in(answer, "x-rate-limit-remaining");
  if (!limit || !remaining || *remaining > *limit / 10) return {};
  return "x-rate-limit-remaining is " + std::to_string(*remaining) + " of " + std::to_string(*limit) +
         ", so broadcasts slow down before Realtime refuses them";
}

}  // namespace sealcast::transport::supabase
