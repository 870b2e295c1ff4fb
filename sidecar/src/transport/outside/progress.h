// How far a transport has come in each shard that is led: which batches were taken, and which are delivered whole.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "transport/transport.h"

namespace sealcast::transport::outside {

class Progress {
 public:
  struct Shard {
    Lead lead;           // its batch = the newest that the relay has published
    bool begun = false;  // `taken` is known
    std::int64_t taken = 0;
    // Batches with frames that are not settled, in order.
    struct Open {
      std::int64_t batch;
      std::size_t frames;
      std::int64_t ts;  // of the first of them
    };
    std::deque<Open> open;

    bool current() const { return begun && taken >= lead.batch; }
    std::int64_t settled() const { return open.empty() ? taken : open.front().batch - 1; }
  };

  // Takes over what is led now. Returns the shards that are led no longer, or under another epoch.
  std::vector<std::int32_t> lead(std::span<const Lead> leads);

  Shard* find(std::int32_t id);
  Shard* find(std::int32_t id, std::int64_t epoch);  // null also when it is led under another epoch
  std::span<Shard> shards() { return shards_; }
  std::vector<Lead> leads() const;

  void count(const Frame& frame, std::int64_t epoch);
  void settle(const Frame& frame, std::int64_t epoch);

 private:
  std::vector<Shard> shards_;
};

}  // namespace sealcast::transport::outside
