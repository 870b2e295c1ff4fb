// What a drain is about: the shards that its caller leads, and handing over what it relayed.
#pragma once

#include <cstring>

#include "relay/outbox.h"
#include "relay/sampler.h"
#include "server/pg.h"

namespace sealcast::relay {

// A shard that the caller leads, and the newest row of relay_log: where it stands. Before the first batch it has seen
// nothing.
struct Shard {
  int id;
  int64 epoch;
  int64 batch = 0;
  int64 logged_at = 0;
  const char* seen = "1:1:";
  uint64 seen_xid = 0;
  int64 seen_id = 0;
  const char* target = nullptr;  // null = the last window was relayed to its end
  uint64 target_xid = 0;
  int64 target_id = 0;
  int64 after_id = 0;
  bool done = false;

  bool stands_with(const Shard& other) const {
    const auto same = [](const char* a, const char* b) {
      return a == nullptr || b == nullptr ? a == b : std::strcmp(a, b) == 0;
    };
    return same(seen, other.seen) && seen_xid == other.seen_xid && seen_id == other.seen_id &&
           same(target, other.target) && target_xid == other.target_xid && target_id == other.target_id &&
           after_id == other.after_id;
  }
};

// Shards that stand at one position and are relayed together.
struct Group {
  std::span<Shard*> shards;
  Shard from;  // the position
  int64 logged_at;

  Window window() const {
    return {read_position(from.seen), from.seen_xid,  from.seen_id, read_position(from.target),
            from.target_xid,          from.target_id, from.after_id};
  }
  uint32 bits() const {
    uint32 bits = 0;
    for (const Shard* shard : shards) bits |= uint32{1} << shard->id;
    return bits;
  }
};

// The rows that drain() returns.
class Output {
 public:
  explicit Output(FunctionCallInfo fcinfo);

  // The run's message number `i`; null when retention has dropped it, or it is not on the public channel.
  void put(int64 batch, const Run& run, int i, const varlena* envelope, std::optional<int64> public_prev);
  // A shard that had nothing.
  void put_empty(int shard, int64 batch);

 private:
  ReturnSetInfo* result_;
};

// Reads the messages of numbered runs, decides which are on the public channel, and puts them out, and a row for each
// shard of the group that had none.
void hand_over(const Group& group, std::span<Run> runs, Sampler& sampler, Output& output);

}  // namespace sealcast::relay
