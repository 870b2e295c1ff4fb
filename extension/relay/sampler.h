// What the public channel of a stream carries while it is sampled (docs/sampling.md).
#pragma once

#include "core/sampling.h"
#include "server/index_lookup.h"

namespace sealcast::relay {

// The rate of a stream that is not sampled: of its users, percent.
inline constexpr int kAll = 100;

// Reads with the active snapshot; trivially destructible. A stream that is not sampled costs one probe of a table that
// is nearly always empty.
class Sampler {
 public:
  static Sampler open();
  void close();

  int rate_of(const pg_uuid_t& stream_id);

  // Whether a message goes to the public channel at this rate.
  bool sends(int rate, const pg_uuid_t& stream_id, const pg_uuid_t& sender_id, const text* t, const text* d);

 private:
  core::TierRules rules_of(const text* t);

  server::IndexLookup rates_;
  int rate_;
  server::IndexLookup types_;
  int tier_, tier0_amount_, server_fields_;
};

}  // namespace sealcast::relay
