// Counts latencies in buckets. The width of a bucket grows with its values, so the error is at most 0.8 % for all
// latencies from a nanosecond to 18 minutes. The buckets take 34 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace sealcast::bench {

class Histogram {
 public:
  void add(std::uint64_t value) {
    counts_[std::min(bucket_of(value), kBuckets - 1)]++;
    total_++;
    max_ = std::max(max_, value);
  }

  std::uint64_t total() const { return total_; }
  std::uint64_t max() const { return max_; }

  // Returns the value that `fraction` (0 to 1) of all values do not exceed, rounded up to the end of its bucket.
  // Returns 0 if there are no values.
  std::uint64_t percentile(double fraction) const {
    auto wanted = static_cast<std::uint64_t>(fraction * static_cast<double>(total_) + 0.999999);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; i++) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return std::min(end_of(i), max_);
    }
    return max_;
  }

 private:
  // Each value below 2 * kHalf has its own bucket. The range from each higher power of two to the next is split into
  // kHalf buckets. The last bucket also counts all values above its range.
  static constexpr int kBits = 7;
  static constexpr std::uint64_t kHalf = 1 << kBits;
  static constexpr std::size_t kBuckets = kHalf * 34;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < 2 * kHalf) return value;
    int shift = std::bit_width(value) - kBits - 1;
    return static_cast<std::size_t>(shift) * kHalf + (value >> shift);
  }
  static std::uint64_t end_of(std::size_t bucket) {
    if (bucket < 2 * kHalf) return bucket;
    auto shift = bucket / kHalf - 1;
    return ((bucket - shift * kHalf + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace sealcast::bench
