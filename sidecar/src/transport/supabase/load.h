// The load on a Supabase project, as Realtime counts it, and the project's limit.
//
// Realtime counts an event for each broadcast and one for each reader who gets it: a broadcast to 500 readers is 501
// events (https://github.com/supabase/realtime, version 2.129.8: lib/realtime/tenants/single_broadcast.ex,
// send_message_and_count, and lib/realtime_web/channels/realtime_channel/message_dispatcher.ex, update_rate_counter).
// When the average of a minute reaches max_events_per_second, it answers broadcasts with 429 and shuts down the
// channels of readers (realtime_channel.ex, handle_info(:update_rate_counter)).
//
// Each answer has the headers x-rate-limit, which is max_events_per_second, and x-rate-limit-remaining, which is that
// limit minus the average number of *requests* per second (lib/realtime_web/plugs/rate_limiter.ex; Api.preload_counters
// in lib/realtime/api.ex reads the counter of requests). So the header announces only the refusal of too many requests.
// Nothing announces the refusal of too many events, so they are estimated here.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/metrics.h"
#include "client/http/answer.h"

namespace sealcast::transport::supabase {

class Load {
 public:
  using Clock = std::chrono::steady_clock;

  void count_in(Metrics& metrics) { metrics_.emplace(metrics.supabase()); }

  // Counts an accepted broadcast to this number of readers. Logs a warning, at most once per minute, from 80 % of the
  // limit on.
  void add(std::int64_t readers, const client::http::Answer& answer, Clock::time_point now);

  // Returns the average of the last minute.
  double events_per_second(Clock::time_point now);

 private:
  // Realtime has twelve buckets of 5 s (lib/realtime/tenants.ex, events_per_second_rate). The bucket in progress does
  // not count yet.
  static constexpr std::chrono::seconds kBucket{5};
  static constexpr std::int64_t kBuckets = 12;

  void begin_buckets(Clock::time_point now);

  std::optional<Metrics::Supabase> metrics_;
  std::array<std::int64_t, kBuckets> buckets_{};
  std::int64_t ended_ = 0;        // buckets that have ended since the first broadcast
  std::int64_t in_progress_ = 0;  // events of the bucket in progress
  std::optional<Clock::time_point> bucket_end_;
  Clock::time_point next_warning_{};
};

// Returns the reason to slow down when less than a tenth of the limit of requests remains, else an empty text.
std::string near_request_limit(const client::http::Answer& answer);

}  // namespace sealcast::transport::supabase
