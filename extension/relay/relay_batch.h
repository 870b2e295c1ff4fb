// A relay batch: the shards that one drain relays together, and the frames that it returns.
#pragma once

#include "relay/outbox.h"
#include "relay/sampler.h"
#include "relay/stored_messages.h"
#include "server/pg.h"

namespace sealcast::relay {

// A shard whose lease the caller of drain() holds, with the columns of the shard's newest row in relay_log.
struct Shard {
  int id;
  int64 epoch;
  int64 batch = 0;
  int64 logged_at = 0;
  Position seen = kStart;
  std::optional<Position> target{};  // end of the current window; nullopt if the last window is relayed completely
  int64 after_id = 0;                // in the current window, message_ids up to this one are relayed
  bool done = false;                 // whether this drain has relayed the shard

  bool has_position_of(const Shard& other) const {
    return seen == other.seen && target == other.target && after_id == other.after_id;
  }
};

// Shards that have the same position. One search of the outbox finds the messages of all of them.
struct Group {
  std::span<Shard*> shards;
  Window window;
  int64 logged_at;

  // Returns the shards as one bit per shard.
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

  // Adds message number `i` (from 0) of a run. The text of `envelope` is null if retention has dropped the message.
  // `public_prev` is the previous offset on the public channel, or nullopt if the message is not on the public channel.
  // `is_retained`: the type of the message is retained.
  void put(int64 batch, const Run& run, int i, const StoredMessages::Envelope& envelope,
           std::optional<int64> public_prev, bool is_retained);
  // Adds the row that a shard without messages gets: its stream and all columns after it are null.
  void put_empty(int shard, int64 batch);

 private:
  ReturnSetInfo* result_;
};

// Reads the messages of the runs, decides which of them are on the public channel, and adds their frames to the output.
// The runs must have their offsets already. Adds an empty row for each shard of the group that has no messages.
void put_frames(const Group& group, std::span<Run> runs, Sampler& sampler, Output& output);

}  // namespace sealcast::relay
