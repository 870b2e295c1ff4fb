// Decides which messages the public channel of a sampled stream carries (docs/sampling.md).
#pragma once

#include "core/sampling.h"
#include "server/index_lookup.h"

namespace sealcast::relay {

// The sampling rate, in percent, of a stream that is not sampled.
inline constexpr int kUnsampled = 100;

// Reads the tables sampling and message_types with the active snapshot. Trivially destructible, because after an error
// no destructor runs. A stream that is not sampled costs one index look-up in the table sampling, which is nearly
// always empty.
class Sampler {
 public:
  static Sampler open();
  void close();

  // Returns the stream's sampling rate in percent, or kUnsampled.
  int rate_of(const pg_uuid_t& stream_id);

  // Returns whether the public channel carries a message at this rate: because its sender is in the sample, or because
  // its tier is 0 or 1. `d` is the canonical payload.
  bool carries(int rate, const pg_uuid_t& stream_id, const pg_uuid_t& sender_id, const text* t, const text* d);

 private:
  core::TierRules rules_of(const text* t);

  server::IndexLookup rates_;
  int rate_;
  server::IndexLookup types_;
  int tier_, tier0_amount_, server_fields_;
};

}  // namespace sealcast::relay
