// The outbox: the place of a new message, and the runs that a drain relays next.
#pragma once

#include "core/shard.h"
#include "relay/position.h"
#include "server/pg.h"

namespace sealcast::relay {

inline int shard_of(const pg_uuid_t& stream_id) { return core::shard_of(stream_id.data[UUID_LEN - 1]); }

// Returns the segment that takes new rows.
int16 outbox_segment();

// Messages per run at most, so that a relay batch can end between two runs.
inline constexpr int kMaxRun = 256;

// The newest offsets of a stream, and its sampling rate.
struct StreamProgress {
  int64 offset;         // of the newest message
  int64 public_offset;  // of the newest message on the public channel
  int rate = 100;       // percentage of the users whose tier 2 messages the public channel carries
};

// Messages of one stream that one transaction admitted, with consecutive message_ids.
struct Run {
  int64 first_id;
  int messages;
  int64 ts;
  pg_uuid_t stream_id;
  int shard;
  // Set by the drain: see the table stream_runs.
  int64 offset;
  StreamProgress* stream = nullptr;
  int64 public_before = 0;
  int public_messages = 0;
  uint8 public_bits[kMaxRun / 8] = {};

  // Puts message number `i`, from 0, on the public channel.
  void make_public(int i) {
    ++public_messages;
    public_bits[i / 8] |= static_cast<uint8>(1 << i % 8);
    stream->public_offset = offset + i;
  }
  Datum public_bytes() const;

  // Returns whether a message can be appended.
  bool continues_with(int64 message_id, const pg_uuid_t& stream) const {
    return messages < kMaxRun && message_id == first_id + messages && std::memcmp(&stream, &stream_id, UUID_LEN) == 0;
  }
};

// A drain window: all messages that `seen` sees are relayed. Of the messages that became visible between `seen` and
// `target`, those up to after_id are relayed too.
struct Window {
  Position seen;
  Position target;
  int64 after_id;
};

// Returns the first runs of the window for the given shards (one bit per shard), in order of first_id, until they hold
// max_messages. A message that was sent after another one was committed comes after it, whichever transaction began
// first. All reads are index ranges, so the cost depends on the number of new messages only, not on rolled back rows or
// long transactions. `complete`: the window holds fewer than max_messages.
std::span<Run> next_runs(const Window& window, uint32 shards, int max_messages, bool& complete);

}  // namespace sealcast::relay
