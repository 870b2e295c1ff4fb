// A relay batch: the shards that one drain relays together, and the frames that it returns.
#pragma once

#include "relay/outbox.h"
#include "relay/sampler.h"
#include "server/pg.h"

namespace sealcast::relay {

// A shard whose lease the caller of drain() holds, with its newest row of relay_log.
struct Shard {
  int id;
  int64 epoch;
  int64 batch = 0;
  int64 logged_at = 0;
  Position seen = kStart;
  std::optional<Position> target{};  // nothing: the last window was relayed to its end
  int64 after_id = 0;
  bool done = false;  // by this drain

  bool has_position_of(const Shard& other) const {
    return seen == other.seen && target == other.target && after_id == other.after_id;
  }
};

// Shards at one position, which are relayed together.
struct Group {
  std::span<Shard*> shards;
  Window window;
  int64 logged_at;

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

  // Adds message number `i` of a run. `envelope` null: retention has dropped the message. `public_prev` nothing: the
  // message is not on the public channel.
  void put(int64 batch, const Run& run, int i, const varlena* envelope, std::optional<int64> public_prev);
  // Adds a shard without messages.
  void put_empty(int shard, int64 batch);

 private:
  ReturnSetInfo* result_;
};

// Reads the messages of runs that have offsets, decides which are on the public channel, and adds them to the output.
// Adds an empty row for each shard of the group without messages.
void put_frames(const Group& group, std::span<Run> runs, Sampler& sampler, Output& output);

}  // namespace sealcast::relay
